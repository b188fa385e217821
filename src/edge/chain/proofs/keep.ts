import { sql } from 'drizzle-orm'
import { noteBlock } from '../journal.ts'
import type { Step } from '../step.ts'
import type { Key } from './proof.ts'

/** What a look has told of a proof that is not settled. `expiresAt`, `payout` and `refunds` null: as they were. */
export type Kept = Key & {
  /** Unix seconds of block time. */
  dueAt: number
  looks: number
  lookedBlock: number
  searchedBlock: number | null
  expiresAt: number | null
  /** Base units. */
  payout: bigint | null
  refunds: boolean | null
  problem: string | null
}

/** Writes when these are looked at again, and what is known of them by now. */
export async function keepProofs({ db, chain, block }: Step, kept: readonly Kept[]): Promise<void> {
  if (kept.length === 0) return
  const { id } = chain.config
  const items = kept.map(
    ({
      subscription,
      interval,
      dueAt,
      looks,
      lookedBlock,
      searchedBlock,
      expiresAt,
      payout,
      refunds,
      problem,
    }) => ({
      c: id,
      s: subscription,
      i: interval,
      d: dueAt,
      l: looks,
      b: lookedBlock,
      sb: searchedBlock,
      e: expiresAt,
      pay: payout === null ? null : String(payout),
      r: refunds === null ? null : Number(refunds),
      p: problem,
    }),
  )
  await db.orm.batch([
    db.orm.run(sql`
      update proofs set due_at = item.value ->> 'd', looks = item.value ->> 'l', looked_block = max(looked_block, item.value ->> 'b'),
        searched_block = item.value ->> 'sb', expires_at = coalesce(item.value ->> 'e', expires_at), payout = coalesce(item.value ->> 'pay', payout),
        refunds = coalesce(item.value ->> 'r', refunds), problem = item.value ->> 'p'
      from json_each(${JSON.stringify(items)}) as item
      where proofs.chain = item.value ->> 'c' and proofs.subscription = item.value ->> 's' and proofs.interval = item.value ->> 'i'
        and +proofs.state = 'pending'`),
    // What was read of a block that is undone is read again.
    noteBlock(db, { chain: id, block }),
  ])
}
