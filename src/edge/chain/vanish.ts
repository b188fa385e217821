import { type SQL, sql } from 'drizzle-orm'
import type { Bells } from '../bell/bell.ts'
import { type Ended, ringCancelled } from '../bell/cancelled.ts'
import type { Db } from '../db/open.ts'

export type CancelledJob = { id: string; instance: string | null; watched: number }

/** Why answers are given up: a code, and a sentence. Both are SQL, by columns of `deliveries`. */
export type GivenUp = { reason: SQL; message: SQL }

const gone: GivenUp = { reason: sql`'vanished'`, message: sql`'The subscription is gone from the chain.'` }

/**
 * Statements for a batch that end what is under way for subscriptions which the chain no longer has, or has another one in place of.
 * `ids`: a subquery. The first statement returns `CancelledJob`s.
 */
export function vanishDeliveries(
  db: Db,
  { chain, ids, why = gone }: { chain: number; ids: SQL; why?: GivenUp },
) {
  return giveUpDeliveries(db, {
    which: sql`chain = ${chain} and subscription in ${ids} and interval > 0`,
    why,
  })
}

/**
 * Likewise of single answers. They stay, under an interval below 0 that nothing else has, because a transaction may be on its way for
 * them; so another one can be given for the same. `which`: by columns of `deliveries`.
 */
export function giveUpDeliveries({ orm, now }: Db, { which, why }: { which: SQL; why: GivenUp }) {
  const jobs = sql`(select job from deliveries where ${which})`
  return [
    orm.all<CancelledJob>(sql`
      update jobs set state = 'cancelled', finished_at = ${now}, lease_expires_at = null, error_code = 'cancelled',
        error_message = 'The subscription that asked for it is gone from the chain.', data = null, data_parts = 0
      where id in ${jobs} and state in ('queued', 'running')
      returning id, instance, watched`),
    orm.run(sql`
      delete from parts indexed by parts_place where job in ${jobs} and exists (
        select 1 from jobs where jobs.id = parts.job and jobs.state = 'cancelled')`),
    // Each below the lowest that the subscription has by then: so they differ, also from those that vanished before.
    orm.run(sql`
      update deliveries set state = 'dropped', reason = ${why.reason}, message = ${why.message},
        interval = min(0, (select min(others.interval) from deliveries as others
          where others.chain = deliveries.chain and others.subscription = deliveries.subscription)) - interval
      where ${which}`),
  ] as const
}

/** Tells runners, and who waits. A lost ring costs latency only. */
export async function tellCancelled(
  bells: Bells,
  jobs: readonly CancelledJob[],
  lost: (error: unknown) => void,
): Promise<void> {
  const ended = jobs.map(({ id, instance, watched }): Ended & { id: string } => ({
    id,
    instance,
    watched: watched === 1,
  }))
  await Promise.all(ended.map(job => ringCancelled(bells, job, lost)))
}
