import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import { type Tracked, type TrackedRow, trackedColumns, trackedJoin, trackedOf } from './tracked.ts'

/** Active subscriptions at which there is something to do, those that wait longest first. `time`: unix seconds of block time. */
export async function selectDue(
  { orm }: Db,
  { chain, time, limit }: { chain: number; time: number; limit: number },
): Promise<(Tracked & { dueAt: number })[]> {
  const rows = await orm.all<TrackedRow & { due_at: number }>(sql`
    select ${trackedColumns} from subscriptions indexed by subscriptions_due ${trackedJoin}
    where subscriptions.chain = ${chain} and state = 'active' and due_at <= ${time} order by due_at, subscriptions.id limit ${limit}`)
  return rows.map(row => ({ ...trackedOf(row), dueAt: row.due_at }))
}

/** Subscriptions by their ids. */
export async function selectTracked(
  { orm }: Db,
  { chain, ids }: { chain: number; ids: readonly number[] },
): Promise<ReadonlyMap<number, Tracked>> {
  const rows = await orm.all<TrackedRow>(sql`
    select ${trackedColumns} from subscriptions ${trackedJoin}
    where (subscriptions.chain, subscriptions.id) in (select ${chain}, value from json_each(${JSON.stringify(ids)}))`)
  return new Map(rows.map(row => [row.id, trackedOf(row)]))
}

/** The inputs that answers under way were asked for with, of these subscriptions' intervals. */
export async function selectFingerprints(
  { orm }: Db,
  { chain, intervals }: { chain: number; intervals: readonly { id: number; interval: number }[] },
): Promise<ReadonlyMap<number, string>> {
  const items = JSON.stringify(intervals.map(({ id, interval }) => ({ i: id, n: interval })))
  const rows = await orm.all<{ id: number; fingerprint: string }>(sql`
    select subscription as id, fingerprint from json_each(${items}) as asked
    cross join deliveries on deliveries.chain = ${chain} and deliveries.subscription = asked.value ->> 'i'
      and deliveries.interval = asked.value ->> 'n'
    cross join jobs on jobs.id = deliveries.job
    where fingerprint is not null`)
  return new Map(rows.map(({ id, fingerprint }) => [id, fingerprint]))
}
