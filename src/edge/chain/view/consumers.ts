import { sql } from 'drizzle-orm'
import type { ConsumerInFull, ConsumerView } from '../../../protocol/chain.ts'
import type { Db } from '../../db/open.ts'
import type { ChainConfig } from '../chain.ts'
import { everybody } from '../guard/record.ts'
import { barredParams, selectHours } from '../guard/usage.ts'
import { excessOf, sumOf } from '../guard/window.ts'

type Row = {
  chain: number
  owner: string
  paid: number
  unpaid: number
  reverted: number
  rejected: number
  dropped: number
  wasted_gas: number
  wasted_gwei: number
  wasted_wei: number
  unpaid_gas: number
  last_gas: number | null
  first_seen: number
  last_seen: number
}

const columns =
  sql.raw(`chain, owner, paid, unpaid, reverted, rejected, dropped, wasted_gas, wasted_gwei, wasted_wei, unpaid_gas, last_gas,
  first_seen, last_seen`)

/** Consumers of a chain, by their addresses. `after`: only those with a higher one. */
export async function listConsumers(
  { orm }: Db,
  { chain, after, limit }: { chain: number; after: string | null; limit: number },
): Promise<ConsumerView[]> {
  const rows = await orm.all<Row>(sql`
    select ${columns} from consumers where chain = ${chain} and owner > ${after ?? everybody} order by owner limit ${limit}`)
  return rows.map(consumerView)
}

/** One consumer, with what it has cost in the last 24 hours; null: nothing was counted of it. `owner`: in lower case. */
export async function readConsumer(
  db: Db,
  { config, owner }: { config: Pick<ChainConfig, 'id' | 'guard'>; owner: string },
): Promise<ConsumerInFull | null> {
  const { id: chain } = config
  const [row] = await db.orm.all<Row>(
    sql`select ${columns} from consumers where chain = ${chain} and owner = ${owner}`,
  )
  if (!row) return null
  const hours = await selectHours(db, { chain, owners: [owner] })
  const [{ now } = { now: 0 }] = hours
  const excess = excessOf(hours, config.guard.limits, now)
  return {
    ...consumerView(row),
    day: {
      reverted: sumOf(hours, 'reverted', now),
      rejected: sumOf(hours, 'rejected', now),
      wasted_gas: sumOf(hours, 'wastedGas', now),
      unpaid_gas: sumOf(hours, 'unpaidGas', now),
      dropped: sumOf(hours, 'dropped', now),
    },
    barred: excess && barredParams(excess),
  }
}

function consumerView(row: Row): ConsumerView {
  const { wasted_gwei, wasted_wei, first_seen, last_seen, ...counts } = row
  return {
    ...counts,
    wasted: String(BigInt(wasted_gwei) * 1_000_000_000n + BigInt(wasted_wei)),
    first_seen: new Date(first_seen).toISOString(),
    last_seen: new Date(last_seen).toISOString(),
  }
}
