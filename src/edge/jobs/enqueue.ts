import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import { chunks } from './chunks.ts'

/** Bounds of the queue: jobs waiting and their input's bytes, for one owner and in all. */
export type QueueBounds = {
  maxQueuedPerOwner: number
  maxQueued: number
  maxBytesPerOwner: number
  maxBytes: number
}

/** Different chains that may wait at once: claims look at each of them. Single containers are as many as runners offer. */
const maxWaitingRoutes = 512

/** A job whose input fits on its row. `data`: the JSON text. */
export type NewJob = { id: string; route: string; requiresProof: boolean; data: string; dataBytes: number }

export type EnqueueOptions = {
  owner: string
  jobs: readonly NewJob[]
  /** The policy that these jobs were admitted under; another one stores nothing. */
  epoch: number
  expiryMs: number
  bounds: QueueBounds
}

/**
 * Stores jobs as queued, in one statement for each MiB, as far as the bounds allow.
 * @returns the ids stored. Fewer than asked: the policy has moved on, or a bound was met; `readAdmission` tells which.
 */
export async function enqueue(db: Db, options: EnqueueOptions): Promise<Set<string>> {
  const stored = new Set<string>()
  for (const jobs of chunks(options.jobs, job => job.dataBytes)) {
    const ids = await insertJobs(db, [{ ...options, jobs }])
    for (const id of ids) stored.add(id)
    if (ids.size < jobs.length) break
  }
  return stored
}

/** A statement for each element, all in one round trip. Together at most a MiB of input. @returns the ids stored. */
export async function insertJobs(db: Db, groups: readonly EnqueueOptions[]): Promise<Set<string>> {
  const [first, ...others] = groups.map(group => insert(db, group))
  if (!first) return new Set()
  const results = others.length === 0 ? [await first] : await db.orm.batch([first, ...others])
  return new Set(results.flat().map(row => row.id))
}

function insert({ orm, now }: Db, { owner, jobs, epoch, expiryMs, bounds }: EnqueueOptions) {
  const items = JSON.stringify(
    jobs.map(job => ({
      i: job.id,
      r: job.route,
      p: job.requiresProof ? 1 : 0,
      b: job.dataBytes,
      d: job.data,
    })),
  )
  // The id of a job is its maker's secret until it is stored, so a conflict is the same job, stored a second time.
  return orm.all<{ id: string }>(sql`
    insert into jobs (id, owner, route, state, created_at, expires_at, requires_proof, data_bytes, data)
    select value ->> 'i', ${owner}, value ->> 'r', 'queued', ${now}, ${now} + ${expiryMs}, value ->> 'p', value ->> 'b', value ->> 'd'
    from json_each(${items})
    where (select epoch from policy) = ${epoch} and ${fits(owner, { bytes: sumOf(jobs), bounds })} and ${mayWait(sql`value ->> 'r'`)}
    limit ${room(owner, bounds)}
    on conflict (id) do update set owner = excluded.owner where jobs.owner = excluded.owner
    returning id`)
}

function sumOf(jobs: readonly NewJob[]): number {
  return jobs.reduce((sum, job) => sum + job.dataBytes, 0)
}

/** Whether so many bytes of input may still wait. */
export function fits(owner: string, { bytes, bounds }: { bytes: number; bounds: QueueBounds }): SQL {
  return sql`coalesce((select bytes from queue_counts where owner = ${owner}), 0) + ${bytes} <= ${bounds.maxBytesPerOwner}
    and coalesce((select bytes from queue_counts where owner = '*'), 0) + ${bytes} <= ${bounds.maxBytes}`
}

/** Whether a route may wait: a single container, a chain that waits already, or one of not too many others. */
export function mayWait(route: SQL): SQL {
  return sql`(instr(${route}, ',') = 0 or exists (select 1 from queued_routes where route = ${route})
    or (select count(*) from queued_routes) < ${maxWaitingRoutes})`
}

/** How many jobs may still be queued for an owner; never negative, which SQLite would take for "no limit". */
export function room(owner: string, { maxQueuedPerOwner, maxQueued }: QueueBounds): SQL {
  return sql`max(0, min(
    ${maxQueuedPerOwner} - coalesce((select queued from queue_counts where owner = ${owner}), 0),
    ${maxQueued} - coalesce((select queued from queue_counts where owner = '*'), 0)))`
}

/** Which of these ids an owner has jobs with. */
export async function selectExisting(
  { orm }: Db,
  { owner, ids }: { owner: string; ids: readonly string[] },
): Promise<string[]> {
  const rows = await orm.all<{ id: string }>(sql`
    select id from jobs where id in (select value from json_each(${JSON.stringify(ids)})) and owner = ${owner}`)
  return rows.map(row => row.id)
}

export type Admission = { epoch: number; owned: number; ownedBytes: number }

/** What stood in the way of an `enqueue` that stored less than it was asked to. */
export async function readAdmission({ orm }: Db, owner: string): Promise<Admission> {
  const [row] = await orm.all<Admission>(sql`
    select (select epoch from policy) as epoch,
      coalesce((select queued from queue_counts where owner = ${owner}), 0) as owned,
      coalesce((select bytes from queue_counts where owner = ${owner}), 0) as "ownedBytes"`)
  return row ?? { epoch: 0, owned: 0, ownedBytes: 0 }
}
