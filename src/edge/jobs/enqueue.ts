import { type SQL, sql } from 'drizzle-orm'
import { destination } from '../../protocol/job.ts'
import type { Db } from '../db/open.ts'
import { chunks } from './chunks.ts'
import { isLane, mayWait } from './lanes.ts'
import { forgetUnmade, isFirst, noteKeys, type Once } from './once.ts'

/** Bounds of the queue: jobs waiting and their input's bytes, for one owner and in all. */
export type QueueBounds = {
  maxQueuedPerOwner: number
  maxQueued: number
  maxBytesPerOwner: number
  maxBytes: number
}

/** What every new job has, wherever its input is. */
export type JobTerms = {
  route: string
  requiresProof: boolean
  priority: number
  /** How long the containers may take, all together; null: as long as each may by itself. */
  timeoutMs: number | null
  /** How long it may wait in the queue. */
  expiryMs: number
  /** A client waits for the end. */
  watched: boolean
  /** Its output is streamed, and it runs on for so long while nobody reads; null: to its end. */
  stream: { unreadMs: number | null } | null
  /** As in the schema. */
  endpoint: 'openai' | null
  /** Makes the job once; null: as often as it is asked for. */
  once: Once | null
}

/** A job whose input fits on its row. `data`: the JSON text. */
export type NewJob = JobTerms & { id: string; data: string; dataBytes: number }

export type EnqueueOptions = {
  owner: string
  jobs: readonly NewJob[]
  /** The policy that these jobs were admitted under; another one stores nothing. */
  epoch: number
  bounds: QueueBounds
  /** The statement is on its way: whoever looks now may find the jobs. Called for requests that need not wait for others. */
  onUnderway?: (() => void) | undefined
}

/** What a job adds to its statement beside its input and its route, about. */
const frameBytes = 200

/** Text that a job adds to the statement that stores it. */
export function textBytes({ dataBytes, route }: NewJob): number {
  return dataBytes + route.length + frameBytes
}

/**
 * Stores jobs as queued, in one statement for each MiB, as far as the bounds allow.
 * @returns the ids stored. Fewer than asked: the policy has moved on, a bound was met (`readAdmission` tells which of the two), or the
 * job is there already (`selectExisting`, and `once.ts`).
 */
export async function enqueue(db: Db, options: EnqueueOptions): Promise<Set<string>> {
  const stored = new Set<string>()
  for (const jobs of chunks(options.jobs, textBytes)) {
    const ids = await insertJobs(db, [{ ...options, jobs }])
    for (const id of ids) stored.add(id)
    // What follows would fare no better; but of a request that was sent before, these may be there already.
    if (ids.size < jobs.length && jobs.every(({ once }) => once === null)) break
  }
  return stored
}

/**
 * A statement for each element, three where jobs are to be made once, all in one round trip. Together at most a MiB of text.
 * @returns the ids stored.
 */
export async function insertJobs(db: Db, groups: readonly EnqueueOptions[]): Promise<Set<string>> {
  const [first, ...others] = groups.flatMap(group => statements(db, group))
  if (!first) return new Set()
  const results = others.length === 0 ? [await first] : await db.orm.batch([first, ...others])
  return new Set(results.flat().map(row => row.id))
}

function statements(db: Db, group: EnqueueOptions) {
  const { owner, jobs } = group
  const keyed = jobs.flatMap(({ id, once }) => (once?.key == null ? [] : [{ ...once, key: once.key, id }]))
  const stored = insert(db, group)
  return keyed.length === 0
    ? [stored]
    : [noteKeys(db, { owner, keyed }), stored, forgetUnmade(db, { owner, keyed })]
}

function insert({ orm, now }: Db, { owner, jobs, epoch, bounds }: EnqueueOptions) {
  const items = JSON.stringify(
    addUp(jobs).map(({ job, bytes, lanes }) => ({
      i: job.id,
      r: job.route,
      p: job.requiresProof ? 1 : 0,
      y: job.priority,
      t: job.timeoutMs,
      x: job.expiryMs,
      w: job.watched ? 1 : 0,
      o: destinationOf(job),
      u: job.stream?.unreadMs ?? null,
      e: job.endpoint,
      f: job.once?.fingerprint ?? null,
      k: job.once?.key ?? null,
      n: job.once?.item ?? 0,
      b: job.dataBytes,
      d: job.data,
      sum: bytes,
      lanes,
    })),
  )
  return orm.all<{ id: string }>(sql`
    insert into jobs (id, owner, route, state, created_at, expires_at, requires_proof, priority, timeout_ms, watched,
      destination, unread_ms, endpoint, fingerprint, data_bytes, data)
    select value ->> 'i', ${owner}, value ->> 'r', 'queued', ${now}, ${now} + (value ->> 'x'), value ->> 'p', value ->> 'y', value ->> 't',
      value ->> 'w', value ->> 'o', value ->> 'u', value ->> 'e', value ->> 'f', value ->> 'b', value ->> 'd'
    from json_each(${items})
    where (select epoch from policy) = ${epoch} and ${fits(owner, { bytes: sql`value ->> 'sum'`, bounds })}
      and ${mayWait(owner, { route: sql`value ->> 'r'`, others: sql`value ->> 'lanes'` })}
      and (value ->> 'k' is null or ${isFirst({ owner, key: sql`value ->> 'k'`, item: sql`value ->> 'n'`, id: sql`value ->> 'i'` })})
    limit ${room(owner, bounds)}
    on conflict (id) do nothing
    returning id`)
}

export function destinationOf({ stream }: Pick<JobTerms, 'stream'>): number {
  return stream ? destination.stream : destination.offchain
}

/**
 * The jobs of a statement, each with the bytes of input up to it, itself included, and the other lanes before it. A statement does not
 * see what it stores itself, so the bounds need to be told.
 */
function addUp(jobs: readonly NewJob[]): { job: NewJob; bytes: number; lanes: number }[] {
  const places = new Map<string, number>()
  let bytes = 0
  return jobs.map(job => {
    bytes += job.dataBytes
    if (isLane(job.route) && !places.has(job.route)) places.set(job.route, places.size)
    return { job, bytes, lanes: places.get(job.route) ?? 0 }
  })
}

/** Whether so many bytes of input may still wait. */
export function fits(owner: string, { bytes, bounds }: { bytes: number | SQL; bounds: QueueBounds }): SQL {
  return sql`coalesce((select bytes from queue_counts where owner = ${owner}), 0) + ${bytes} <= ${bounds.maxBytesPerOwner}
    and coalesce((select bytes from queue_counts where owner = '*'), 0) + ${bytes} <= ${bounds.maxBytes}`
}

/** How many jobs may still be queued for an owner; never negative, which SQLite would take for "no limit". */
export function room(owner: string, { maxQueuedPerOwner, maxQueued }: QueueBounds): SQL {
  return sql`max(0, min(
    ${maxQueuedPerOwner} - coalesce((select queued from queue_counts where owner = ${owner}), 0),
    ${maxQueued} - coalesce((select queued from queue_counts where owner = '*'), 0)))`
}

/** Which of these jobs an owner has already. @returns ids. */
export async function selectExisting(
  { orm }: Db,
  { owner, jobs }: { owner: string; jobs: readonly NewJob[] },
): Promise<string[]> {
  const wanted = JSON.stringify(jobs.map(({ id, once }) => ({ i: id, f: once?.fingerprint ?? null })))
  const rows = await orm.all<{ id: string }>(sql`
    select jobs.id from json_each(${wanted}) as wanted cross join jobs on jobs.id = wanted.value ->> 'i'
    where +jobs.owner = ${owner} and jobs.fingerprint is wanted.value ->> 'f'`)
  return rows.map(row => row.id)
}

/** `ownedLanes`: those that the owner has opened. */
export type Admission = { epoch: number; owned: number; ownedBytes: number; ownedLanes: number }

/** What stood in the way of an `enqueue` that stored less than it was asked to. */
export async function readAdmission({ orm }: Db, owner: string): Promise<Admission> {
  const [row] = await orm.all<Admission>(sql`
    select (select epoch from policy) as epoch,
      coalesce((select queued from queue_counts where owner = ${owner}), 0) as owned,
      coalesce((select bytes from queue_counts where owner = ${owner}), 0) as "ownedBytes",
      (select count(*) from queued_routes where opener = ${owner}) as "ownedLanes"`)
  return row ?? { epoch: 0, owned: 0, ownedBytes: 0, ownedLanes: 0 }
}
