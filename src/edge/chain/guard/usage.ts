import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import type { ChainConfig } from '../chain.ts'
import { hourOf } from './hour.ts'
import { type Excess, excessOf, type Hour, windowHours } from './window.ts'

/** `now`: unix milliseconds of the database's clock. */
export type Barred = Excess & { now: number }

type Row = Hour & { owner: string; now: number }

/** Who has cost too much to be served at the moment, and until when. One statement, and none where nothing is limited. `owners`: in lower case. */
export async function selectBarred(
  db: Db,
  { config, owners }: { config: Pick<ChainConfig, 'id' | 'guard'>; owners: readonly string[] },
): Promise<ReadonlyMap<string, Barred>> {
  const { limits } = config.guard
  const barred = new Map<string, Barred>()
  if (owners.length === 0 || Object.values(limits).every(limit => limit === null)) return barred
  const hours = Map.groupBy(await selectHours(db, { chain: config.id, owners }), ({ owner }) => owner)
  for (const [owner, rows] of hours) {
    const now = rows[0]?.now ?? 0
    const excess = excessOf(rows, limits, now)
    if (excess !== null) barred.set(owner, { ...excess, now })
  }
  return barred
}

/** What these have cost by the hour, as far as limits look back, and the database's clock in unix milliseconds. `owners`: in lower case. */
export async function selectHours(
  { orm, now }: Db,
  { chain, owners }: { chain: number; owners: readonly string[] },
): Promise<Row[]> {
  const asked = JSON.stringify([...new Set(owners)])
  return await orm.all<Row>(sql`
    select hours.owner, hours.hour, reverted, rejected, dropped, wasted_gas as "wastedGas", unpaid_gas as "unpaidGas", ${now} as now
    from json_each(${asked}) as asked
    cross join consumer_hours as hours on hours.chain = ${chain} and hours.owner = asked.value
      and hours.hour > ${hourOf(now)} - ${windowHours}`)
}

const sentences = {
  reverted: 'too many of its answers were mined and failed',
  rejected: 'too many proofs of answers to it were rejected',
  wastedGas: 'too much gas went into answers of its that failed',
  unpaidGas: 'too much gas went into answers that it did not pay for',
  dropped: 'too many of its answers were computed for nothing',
} as const

/** As they are configured. */
const keys = {
  reverted: 'reverted_per_day',
  rejected: 'rejected_per_day',
  wastedGas: 'wasted_gas_per_day',
  unpaidGas: 'unpaid_gas_per_day',
  dropped: 'dropped_per_day',
} as const

/** For a row, or a refusal. */
export function barredSentence({ limit }: Excess): string {
  return `consumer limit reached: ${sentences[limit]}`
}

/** For whoever looks. */
export function barredParams({ limit, used, most, until }: Excess) {
  return { limit: keys[limit], used, most, until: new Date(until).toISOString() }
}
