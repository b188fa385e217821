import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { Db } from '../../db/open.ts'

type Row = { token: Address; stake: string; count: number }

/** Base units of each token that this node's answers will lock when they are mined. */
export async function readPromised({ orm }: Db, chain: number): Promise<ReadonlyMap<Address, bigint>> {
  return sumOf(
    await orm.all<Row>(sql`
      select stake_token as token, stake, count(*) as count from deliveries indexed by deliveries_staked
      where chain = ${chain} and stake_token is not null and state in ('computing', 'computed', 'sending') group by stake_token, stake`),
  )
}

/** Likewise, what waits for verdicts: what a wallet of the first deployments does not tell. */
export async function readLocked({ orm }: Db, chain: number): Promise<ReadonlyMap<Address, bigint>> {
  return sumOf(
    await orm.all<Row>(sql`
      select stake_token as token, stake, 1 as count from proofs indexed by proofs_due
        join deliveries on deliveries.chain = proofs.chain and deliveries.subscription = proofs.subscription
          and deliveries.interval = proofs.interval
      where proofs.chain = ${chain} and proofs.state = 'pending' and proofs.due_at is not null and stake_token is not null`),
  )
}

function sumOf(rows: readonly Row[]): ReadonlyMap<Address, bigint> {
  const sums = new Map<Address, bigint>()
  for (const { token, stake, count } of rows)
    sums.set(token, (sums.get(token) ?? 0n) + BigInt(stake) * BigInt(count))
  return sums
}
