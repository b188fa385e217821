import { type SQL, sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { Db } from '../../db/open.ts'
import type { Receipt } from '../outbox/receipt.ts'
import type { Key } from './proof.ts'
import { outcomeOf } from './verdict.ts'

/** An answer that was mined with a proof. `stake`: what backs it. `nodeWallet`: where that is; null: it was not noted. Addresses in lower case. */
export type Proven = Key & {
  stake: { token: Address; amount: bigint; verifier: Address | null }
  nodeWallet: Address | null
}

export type BeginProofs = {
  chain: number
  node: Address
  /** Of `transactions`: that which has brought them. */
  tx: string
  answers: readonly Proven[]
  receipt: Receipt
  /** Unix seconds of block time at which they are first looked at. */
  time: number
  /** Nothing is written unless it holds. */
  guard: SQL
}

/**
 * A statement that notes the proofs of answers, each with its verdict, if the verifier has judged within the delivery. With one that takes its
 * time the rest is to be read: the first look is for the end of its window. What is noted already stays: somebody may have seen its verdict since. What
 * is undone is not noted any more.
 */
export function beginProofs({ orm }: Db, { chain, node, tx, answers, receipt, time, guard }: BeginProofs) {
  const items = answers.map(({ subscription, interval, stake, nodeWallet }) => {
    const verdict = receipt.verdicts.find(
      one => one.subscription === subscription && one.interval === interval && one.node === node,
    )
    const state = verdict ? outcomeOf(verdict) : 'pending'
    return {
      s: subscription,
      i: interval,
      st: state,
      d: verdict ? null : time,
      pay: state === 'rejected' ? '0' : null,
      by: verdict?.by ?? null,
      h: verdict ? receipt.hash : null,
      b: verdict ? receipt.block : null,
      kt: stake.token,
      k: String(stake.amount),
      kv: stake.verifier,
      w: nodeWallet,
    }
  })
  return orm.run(sql`
    insert into proofs (chain, subscription, interval, node, answer_tx, state, due_at, looked_block, payout, settled_by, settled_hash,
      settled_block, stake_token, stake, stake_verifier, node_wallet)
    select ${chain}, value ->> 's', value ->> 'i', ${node}, ${tx}, value ->> 'st', value ->> 'd', ${receipt.block}, value ->> 'pay', value ->> 'by',
      value ->> 'h', value ->> 'b', value ->> 'kt', value ->> 'k', value ->> 'kv', value ->> 'w'
    from json_each(${JSON.stringify(items)}) where ${guard}
    on conflict do nothing`)
}
