import { sql } from 'drizzle-orm'
import { type Address, encodeAbiParameters, type Hex, keccak256 } from 'viem'
import type { Db } from '../../db/open.ts'

/** Names a proof of a chain. */
export type Key = { subscription: number; interval: number }

/** A proof that waits for its verdict, as it was last looked at. Times: unix seconds of block time. */
export type Proof = Key & {
  node: Address
  looks: number
  lookedBlock: number
  /** Up to there logs were looked through, this time; null: they were not. */
  searchedBlock: number | null
  expiresAt: number | null
  /** Whether the consumer gets the pay back when nobody judges; known once it was looked at. */
  refunds: boolean
  /** Whether a transaction of this node that would finalize it is on its way. */
  isFinalizing: boolean
  /** What stood in the way at the last look. */
  problem: string | null
}

const keyParameters = [{ type: 'uint32' }, { type: 'uint32' }, { type: 'address' }] as const

/** What the coordinator knows a proof by. */
export function keyOf({
  subscription,
  interval,
  node,
}: Pick<Proof, 'subscription' | 'interval' | 'node'>): Hex {
  return keccak256(encodeAbiParameters(keyParameters, [subscription, interval, node]))
}

type Row = {
  subscription: number
  interval: number
  node: Address
  looks: number
  looked_block: number
  searched_block: number | null
  expires_at: number | null
  refunds: number
  finalizing: number
  problem: string | null
}

/** Those that are to be looked at, the longest due first. `time`: unix seconds of block time. */
export async function selectDueProofs(
  { orm }: Db,
  { chain, time, limit }: { chain: number; time: number; limit: number },
): Promise<Proof[]> {
  const rows = await orm.all<Row>(sql`
    select subscription, interval, node, looks, looked_block, searched_block, expires_at, refunds, problem, exists (select 1 from transactions
      where transactions.id = proofs.tx and transactions.state in ('signed', 'sent')) as finalizing
    from proofs indexed by proofs_due
    where chain = ${chain} and state = 'pending' and due_at <= ${time} order by due_at limit ${limit}`)
  return rows.map(row => ({
    subscription: row.subscription,
    interval: row.interval,
    node: row.node,
    looks: row.looks,
    lookedBlock: row.looked_block,
    searchedBlock: row.searched_block,
    expiresAt: row.expires_at,
    refunds: row.refunds === 1,
    isFinalizing: row.finalizing === 1,
    problem: row.problem,
  }))
}
