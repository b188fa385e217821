import { type SQL, sql } from 'drizzle-orm'
import { limits } from '../../protocol/limits.ts'
import { addToRing } from '../bell/bell.ts'
import type { Db } from '../db/open.ts'
import { type Lapsed, lapse } from './claim.ts'
import { expire } from './expire.ts'

export type SweepOptions = {
  maxTries: number
  retentionMs: number
  /** Leaves what is left for the next sweep. */
  signal?: AbortSignal | undefined
  /** Is told after each round: what was done is to be rung for, although a later one may fail. */
  tell?(outcome: SweepOutcome): Promise<unknown>
}

/** Rows that one statement of a sweep changes, so that none holds the one writer for long. */
const perStatement = 500
/** What one statement forgets: 1,000 jobs without parts, or about 60 parts: 15 MiB. */
const prunePerStatement = 1_000
/** Rounds of one sweep: what is left waits for the next, a minute later. 100,000 small jobs are more than a node completes in it. */
const maxRounds = 100

/** `requeued`: the jobs among the lapsed that wait again, by route. `watched`: jobs that ended, and whose end a client waits for. */
export type SweepOutcome = { requeued: Record<string, number>; watched: string[] }

export type Swept = SweepOutcome & { lapsed: number; expired: number; pruned: number }

/**
 * Puts back lapsed leases, expires jobs that waited too long, forgets unfinished uploads and what is older than the retention.
 * Every statement seeks in a partial index: the cost is that of what has to change.
 */
export async function sweep(db: Db, options: SweepOptions): Promise<Swept> {
  // One moment for the whole sweep: a job that came of age between two statements would lose its row and keep its parts.
  const [clock] = await db.orm.all<{ now: number }>(sql`select ${db.now} as now`)
  const now = clock?.now ?? 0
  const swept: Swept = { lapsed: 0, expired: 0, pruned: 0, requeued: {}, watched: [] }
  for (let round = 0; round < maxRounds; round += 1) {
    const { lapsed, expired, pruned, forgotten } = await sweepOnce({ ...db, now: sql`${now}` }, options)
    const outcome = outcomeOf([...lapsed, ...expired])
    await options.tell?.(outcome)
    for (const [route, count] of Object.entries(outcome.requeued)) {
      addToRing(swept.requeued, route, count)
    }
    swept.watched.push(...outcome.watched)
    swept.lapsed += lapsed.length
    swept.expired += expired.length
    swept.pruned += pruned
    if (lapsed.length + expired.length + pruned + forgotten === 0 || options.signal?.aborted) break
  }
  return swept
}

type Ended = Omit<Lapsed, 'state'> & { state: string }

/** What leases that ended mean to others: jobs for runners, by route, and ends that clients wait for. */
export function outcomeOf(ended: readonly Ended[]): SweepOutcome {
  const requeued: Record<string, number> = {}
  const watched: string[] = []
  for (const job of ended) {
    if (job.state === 'queued') addToRing(requeued, job.route, 1)
    else if (job.watched === 1) watched.push(job.id)
  }
  return { requeued, watched }
}

async function sweepOnce({ orm, now }: Db, { maxTries, retentionMs }: SweepOptions) {
  const old = lightest(sql`
    select id, finished_at as due, data_parts, result_parts, intermediate_parts, stream_bytes from jobs
    where finished_at is not null and finished_at <= ${now} - ${retentionMs} and not ${isToBeDelivered}
    order by finished_at limit ${prunePerStatement}`)
  const late = lightest(sql`
    select id, expires_at as due, data_parts, result_parts, intermediate_parts, stream_bytes from jobs
    where state in ('receiving', 'queued') and expires_at <= ${now} and state = 'queued'
    order by expires_at limit ${perStatement}`)
  const unfinished = sql`(select id from jobs where state in ('receiving', 'queued') and expires_at <= ${now} and state = 'receiving'
    order by expires_at limit ${perStatement})`
  const [lapsed, , expired, , , , pruned, forgotten] = await orm.batch([
    orm.all<Lapsed>(lapse({ now, maxTries, limit: perStatement })),
    // As with a job that is cancelled, nobody reads its payloads any more, and no bound counts them.
    orm.run(sql`delete from parts indexed by parts_place where job in ${late}`),
    orm.all<Ended>(expire({ now, jobs: sql`id in ${late}` })),
    orm.run(sql`delete from parts indexed by parts_place where job in ${unfinished}`),
    orm.run(sql`delete from jobs where id in ${unfinished}`),
    orm.run(sql`delete from parts indexed by parts_place where job in ${old}`),
    orm.run(sql`delete from jobs where id in ${old}`),
    orm.run(sql`
      delete from idempotency indexed by idempotency_created where created_at <= (
        select max(created_at) from (
          select created_at from idempotency indexed by idempotency_created
          where created_at <= ${now} - ${limits.idempotencyMs} order by created_at limit ${prunePerStatement}))`),
    orm.run(
      sql`delete from answers where question in (select id from questions where asked_at <= ${now} - 60000)`,
    ),
    orm.run(sql`delete from questions where asked_at <= ${now} - 60000`),
    orm.run(sql`delete from instances where last_seen_at <= ${now} - ${retentionMs}`),
  ])
  return { lapsed, expired, pruned: pruned.rowsAffected, forgotten: forgotten.rowsAffected }
}

/** Whether its answer is for a chain, and nothing but its row has it yet. */
const isToBeDelivered = sql`(destination = 0 and exists (
  select 1 from deliveries where deliveries.job = jobs.id and deliveries.state in ('computing', 'computed') and deliveries.call is null))`

/** The first of these jobs, as many as one statement may take with their parts, and one at least. */
function lightest(jobs: SQL): SQL {
  return sql`(select id from (
      select id, row_number() over first as place,
        sum(1 + 16 * (data_parts + result_parts + intermediate_parts + (stream_bytes + 262143) / 262144)) over first as weight
      from (${jobs}) window first as (order by due, id))
    where weight <= ${prunePerStatement} or place = 1)`
}
