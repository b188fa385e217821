import { type SQL, sql } from 'drizzle-orm'
import type { JobState } from '../../protocol/job.ts'
import type { Db } from '../db/open.ts'

/** A job as stored, without its input. Inline payloads only; `*_parts` says when to read parts. */
export type JobRow = {
  id: string
  state: JobState
  route: string
  requires_proof: number
  attempt: number
  tries: number
  runner: string | null
  created_at: number
  expires_at: number
  claimed_at: number | null
  started_at: number | null
  finished_at: number | null
  origin: 'queue' | 'status'
  error_code: string | null
  error_message: string | null
  result_bytes: number
  result_parts: number
  intermediate_bytes: number
  intermediate_parts: number
  result: string | null
  intermediate: string | null
  source: number
  destination: number
  unread_ms: number | null
  stream_bytes: number
  stream_total: number | null
  stream_text: number | null
  images: string | null
}

const columns =
  sql.raw(`id, state, route, requires_proof, attempt, tries, runner, created_at, expires_at, claimed_at,
  started_at, finished_at, origin, error_code, error_message, result_bytes, result_parts, intermediate_bytes, intermediate_parts,
  source, destination, unread_ms, stream_bytes, stream_total, stream_text, images`)

/** Inline results of 12 jobs are at most 1.5 MiB, escaped 3 MiB: a SQL response stays below 4 MiB. */
const jobsPerRead = 12

/** An answer that is not on its chain yet is nobody's to read: another node could deliver it first, and be paid for it. */
const isPublic = sql.raw(
  "exists (select 1 from deliveries where deliveries.job = jobs.id and deliveries.state in ('delivered', 'final'))",
)

/**
 * The jobs with these ids that an owner may read: its own, and those whose answers are on a chain, where everybody can. Others, and unknown
 * ids, are left out. Order is not kept.
 */
export async function readJobs(
  db: Db,
  { owner, ids }: { owner: string; ids: readonly string[] },
): Promise<JobRow[]> {
  const chunks: JobRow[][] = []
  for (let from = 0; from < ids.length; from += jobsPerRead) {
    chunks.push(await readChunk(db, { owner, ids: ids.slice(from, from + jobsPerRead) }))
  }
  return chunks.flat()
}

async function readChunk(
  { orm }: Db,
  { owner, ids }: { owner: string; ids: readonly string[] },
): Promise<JobRow[]> {
  // The plus keeps SQLite from walking all of the owner's jobs instead of looking these up.
  const wanted = sql`(select value from json_each(${JSON.stringify(ids)}))`
  return await orm.all<JobRow>(sql`
    select ${columns}, result, intermediate from jobs
    where id in ${wanted} and (+owner = ${owner} or (destination = 0 and ${isPublic})) and state <> 'receiving'`)
}

/**
 * Bytes that the results of these jobs take, all together, as often as an id is named. One cheap statement before anything large
 * is read.
 */
export async function selectResultBytes(
  { orm }: Db,
  { owner, ids, intermediate }: { owner: string; ids: readonly string[]; intermediate: boolean },
): Promise<number> {
  const [row] = await orm.all<{ bytes: number }>(sql`
    select coalesce(sum(result_bytes + stream_bytes + ${intermediate ? sql`intermediate_bytes` : sql`0`}), 0) as bytes
    from json_each(${JSON.stringify(ids)}) as wanted cross join jobs on jobs.id = wanted.value and +jobs.owner = ${owner}`)
  return row?.bytes ?? 0
}

export type ListOptions = {
  owner: string
  /** true: those that wait or run; false: those that ended; null: both. */
  pending: boolean | null
  limit: number
  /** Only what came before this job: the next page. */
  before: Place | null
}

/** Where a job stands in a list, whatever becomes of it. */
export type Place = { createdAt: number; id: string }

export type Listed = Place & { pending: number }

/** Ids of an owner's jobs, newest first. By arrival alone: a job that ends between two pages is on one of them all the same. */
export async function listJobs(
  { orm }: Db,
  { owner, pending, limit, before }: ListOptions,
): Promise<Listed[]> {
  const older = before === null ? sql`` : sql`and (created_at, id) < (${before.createdAt}, ${before.id})`
  return await orm.all<Listed>(sql`
    select id, created_at as "createdAt", state in ('queued', 'running') as pending from jobs
    where owner = ${owner} and ${inState(pending)} ${older} order by created_at desc, id desc limit ${limit}`)
}

/** The literal lists are those of the partial indexes, word for word, so that SQLite sees that they fit. */
function inState(pending: boolean | null): SQL {
  if (pending === null) return sql`state <> 'receiving'`
  return pending ? sql`state in ('queued', 'running')` : sql`state not in ('queued', 'running', 'receiving')`
}

/** Jobs that wait or run, of all owners, and of these among them. */
export function selectPending({ orm }: Db, owners: readonly string[]) {
  return orm.all<{ pending: number; theirs: number }>(sql`
    select coalesce((select queued + running from queue_counts where owner = '*'), 0) as pending,
      (select coalesce(sum(queued + running), 0) from json_each(${JSON.stringify(owners)}) as owners
        cross join queue_counts indexed by sqlite_autoindex_queue_counts_1 on queue_counts.owner = owners.value) as theirs`)
}
