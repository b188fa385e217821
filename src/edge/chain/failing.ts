import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import type { Subscription } from './chain.ts'
import type { Due } from './plan.ts'

/** Intervals in a row for which the containers gave no answer that could be encoded. `last`: the newest of them. */
export type Failing = { failures: number; last: number }

/** No more intervals are left out, and no longer a time, unless one alone takes longer. */
const mostIntervals = 32
const mostSeconds = 24 * 3_600
/** Of what was begun last: more failures change nothing. */
const maxLooked = 16
/** Whose fault the containers' is not. */
const others = ['expired', 'cancelled', 'vanished', 'nonce_used', 'begun_twice']

/** Which recurring subscriptions fail, by what became of their last intervals. What is under way tells nothing. One statement, or none. */
export async function selectFailing(
  { orm }: Db,
  { chain, rows }: { chain: number; rows: readonly Due[] },
): Promise<ReadonlyMap<number, Failing>> {
  const ids = rows.flatMap(({ subscription: { id, period }, nextInterval }) =>
    period > 0 && nextInterval > 1 ? [id] : [],
  )
  if (ids.length === 0) return new Map()
  const told = await orm.all<{ id: number; ends: string }>(sql`
    select asked.value as id, (select json_group_array(json_array(interval, failed)) from (
      select interval, state = 'dropped' and dropped_block is null and tx is null as failed from (
        select interval, state, reason, dropped_block, tx from deliveries
        where chain = ${chain} and subscription = asked.value and interval > 0 order by interval desc limit ${maxLooked})
      where state <> 'computing' and coalesce(reason, '') not in (select value from json_each(${JSON.stringify(others)})))) as ends
    from json_each(${JSON.stringify(ids)}) as asked`)
  return new Map(
    told.flatMap(({ id, ends }) => {
      const failing = failingOf(JSON.parse(ends) as [number, number][])
      return failing === null ? [] : [[id, failing]]
    }),
  )
}

/** `ends`: intervals, and whether they failed. */
function failingOf(ends: readonly (readonly [number, number])[]): Failing | null {
  const newest = ends.toSorted(([one], [other]) => other - one)
  const success = newest.findIndex(([, failed]) => failed === 0)
  const failures = success === -1 ? newest.length : success
  const last = newest[0]?.[0]
  return failures === 0 || last === undefined ? null : { failures, last }
}

/**
 * The first interval that is begun again: one failure leaves none out, two in a row one, then twice as many each time. The last interval of
 * all is always begun.
 */
export function resumesAt(
  { failures, last }: Failing,
  { period, frequency }: Pick<Subscription, 'period' | 'frequency'>,
): number {
  if (failures < 2) return last + 1
  const most = Math.max(1, Math.min(mostIntervals, Math.floor(mostSeconds / period)))
  return Math.min(last + 1 + Math.min(2 ** (failures - 2), most), frequency)
}
