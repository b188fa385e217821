import { sql } from 'drizzle-orm'
import * as v from 'valibot'
import { type Address, type Hex, isHex } from 'viem'
import { decoded } from '../decode.ts'
import { anchorCall } from '../next-id.ts'
import { keyOf, namedWallet } from '../outbox/batch.ts'
import type { Step } from '../step.ts'
import type { Key } from './proof.ts'

/** What a proof is of: the wallet that it names, null where that is not known; and what it has cost, as that is booked, in wei. */
export type Answer = { nodeWallet: Address | null; gas: number; cost: bigint }

type Row = Key & {
  node_wallet: Address | null
  mined_hash: Hex | null
  gas_used: number | null
  gas_cost: string | null
}

/**
 * Answers whose proofs these are, by `keyOf`: they have cost nothing, where that is forgotten by now. Which wallet one names that an older version has
 * sent, the chain is asked for.
 * @throws RpcUnavailable
 */
export async function readAnswers(step: Step, found: readonly Key[]): Promise<(key: string) => Answer> {
  const unknown: Answer = { nodeWallet: null, gas: 0, cost: 0n }
  if (found.length === 0) return () => unknown
  const { db, chain } = step
  const keys = JSON.stringify(found.map(({ subscription, interval }) => [subscription, interval]))
  const rows = await db.orm.all<Row>(sql`
    select proofs.subscription, proofs.interval, proofs.node_wallet, mined_hash, ledger.gas_used, ledger.gas_cost from json_each(${keys}) as asked
      cross join proofs on proofs.chain = ${chain.config.id} and proofs.subscription = asked.value ->> 0
        and proofs.interval = asked.value ->> 1
      left join deliveries on deliveries.chain = proofs.chain and deliveries.subscription = proofs.subscription
        and deliveries.interval = proofs.interval
      left join transactions on transactions.id = coalesce(proofs.answer_tx, deliveries.tx)
      left join ledger indexed by sqlite_autoindex_ledger_1 on ledger.tx = coalesce(proofs.answer_tx, deliveries.tx) and ledger.subscription = proofs.subscription
        and ledger.interval = proofs.interval`)
  const named = await readNamed(
    step,
    rows.filter(({ node_wallet }) => node_wallet === null),
  )
  const answers = new Map(
    rows.map(row => {
      const { node_wallet, gas_used: gas, gas_cost: cost } = row
      const key = keyOf(row)
      const nodeWallet = node_wallet ?? named.get(key) ?? null
      return [key, { nodeWallet, gas: gas ?? 0, cost: BigInt(cost ?? 0) }] as const
    }),
  )
  return key => answers.get(key) ?? unknown
}

const Told = v.object({ input: v.custom<Hex>(value => isHex(value)) })

/** By `keyOf`, out of the transactions that have brought them. One that no endpoint tells is left out. */
async function readNamed(
  { chain, contracts, block }: Step,
  rows: readonly Row[],
): Promise<ReadonlyMap<string, Address>> {
  const asked = rows.filter(({ mined_hash }) => mined_hash !== null)
  if (asked.length === 0) return new Map()
  const told = await chain.rpc.send(
    asked.map(({ mined_hash }) => ({ method: 'eth_getTransactionByHash', params: [mined_hash] })),
    anchorCall(contracts, { at: block.number, ids: [] }),
  )
  return new Map(
    asked.flatMap((row, index) => {
      const key = keyOf(row)
      const parsed = v.safeParse(Told, told[index]?.result)
      const wallet = parsed.success ? decoded(parsed.output.input, data => namedWallet(data, key)) : null
      return wallet === null ? [] : [[key, wallet] as const]
    }),
  )
}
