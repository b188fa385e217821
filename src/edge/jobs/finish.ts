import { type SQL, sql } from 'drizzle-orm'
import type { Images } from '../../protocol/container.ts'
import type { Db } from '../db/open.ts'
import { chunks } from './chunks.ts'

/** A payload: inline JSON text, or the count and bytes of parts stored before; neither: none. */
export type StoredPayload = { text: string | null; bytes: number; parts: number }

export type FinishedJob = {
  id: string
  attempt: number
  state: 'success' | 'failed'
  errorCode: string | null
  errorMessage: string | null
  result: StoredPayload
  intermediate: StoredPayload
  /** Output of a stream, stored before as far as the cap allows. */
  stream: { bytes: number; utf8: boolean } | null
  /** By container; null: nothing is known of them. */
  images: Images | null
}

export type FinishAnswer = 'accepted' | 'duplicate' | 'stale'

/**
 * An answer for each result, in order. `watched`: jobs that ended by this, or by the same report before, and whose end a client waits for:
 * whoever stored it may not have come to ring. `chains`: owners of those that chains have asked for, likewise.
 */
export type Finished = { answers: FinishAnswer[]; watched: string[]; chains: string[] }

/** `streamStoredBytes`: of a stream's output, stored at most. */
export type Finishing = { runner: string; jobs: readonly FinishedJob[]; streamStoredBytes: number }

/**
 * Stores results. A result is accepted from the runner that has the job's current attempt, however late; final states are
 * final. Parts that a result names must all be there. Of two results for one lease the first counts. The input on the row goes: nobody
 * reads it any more.
 * @returns null when the runner is revoked.
 */
export async function finish(
  db: Db,
  { runner, jobs, streamStoredBytes }: Finishing,
): Promise<Finished | null> {
  const firsts = [...new Map(jobs.toReversed().map(job => [leaseOf(job), job])).values()]
  const accepted = new Set<string>()
  const watched = new Set<string>()
  const chains = new Set<string>()
  const note = ({ id, watched: isWatched, chain }: Ended) => {
    if (isWatched === 1) watched.add(id)
    if (chain !== null) chains.add(chain)
  }
  for (const chunk of chunks(firsts, textBytes)) {
    for (const ended of await store(db, { runner, jobs: chunk, streamStoredBytes })) {
      accepted.add(leaseOf(ended))
      note(ended)
    }
  }
  const stored =
    accepted.size === jobs.length ? [] : await selectStored(db, { runner, ids: jobs.map(job => job.id) })
  if (stored === null) return null
  const earlier = new Map(stored.map(ended => [leaseOf(ended), ended]))
  const answers = jobs.map(job => {
    // Only the first of a lease is the one that was accepted.
    if (accepted.delete(leaseOf(job))) return 'accepted'
    const ended = earlier.get(leaseOf(job))
    if (ended) note(ended)
    return ended ? 'duplicate' : 'stale'
  })
  return { answers, watched: [...watched], chains: [...chains] }
}

function leaseOf({ id, attempt }: { id: string; attempt: number }): string {
  return `${id}:${attempt}`
}

function textBytes({ result, intermediate }: FinishedJob): number {
  return (result.text ? result.bytes : 0) + (intermediate.text ? intermediate.bytes : 0)
}

/** `chain`: the owner of a job that a chain has asked for. */
type Ended = { id: string; attempt: number; watched: number; chain: string | null }

const endedColumns = sql.raw('id, attempt, watched, case destination when 0 then owner end as chain')

/** One statement for all. @returns the leases whose results it stored. */
async function store({ orm, now }: Db, { runner, jobs, streamStoredBytes }: Finishing): Promise<Ended[]> {
  const items = JSON.stringify(
    jobs.map(({ id, attempt, state, errorCode, errorMessage, result, intermediate, stream, images }) => ({
      id,
      a: attempt,
      s: state,
      e: errorCode,
      m: errorMessage,
      r: result.text,
      rb: result.bytes,
      rp: result.parts,
      i: intermediate.text,
      ib: intermediate.bytes,
      ip: intermediate.parts,
      sb: stream?.bytes ?? null,
      su: stream && (stream.utf8 ? 1 : 0),
      im: images && JSON.stringify(images),
    })),
  )
  return await orm.all<Ended>(sql`
    update jobs set state = item.state, finished_at = ${now}, lease_expires_at = null, error_code = item.error_code,
      error_message = item.error_message,
      tries = jobs.tries + (started_attempt < item.attempt), started_attempt = item.attempt,
      started_at = coalesce(started_at, claimed_at), data = null,
      result = item.result, result_bytes = item.result_bytes, result_parts = item.result_parts,
      intermediate = item.intermediate, intermediate_bytes = item.intermediate_bytes, intermediate_parts = item.intermediate_parts,
      stream_total = item.stream_bytes, stream_text = item.stream_text, images = item.images
    from (select value ->> 'id' as id, value ->> 'a' as attempt, value ->> 's' as state, value ->> 'e' as error_code,
        value ->> 'm' as error_message,
        value ->> 'r' as result, value ->> 'rb' as result_bytes, value ->> 'rp' as result_parts,
        value ->> 'i' as intermediate, value ->> 'ib' as intermediate_bytes, value ->> 'ip' as intermediate_parts,
        value ->> 'sb' as stream_bytes, value ->> 'su' as stream_text, value ->> 'im' as images
      from json_each(${items})) as item
    where jobs.id = item.id and jobs.attempt = item.attempt and jobs.runner = ${runner} and jobs.state in ('running', 'queued')
      and exists (select 1 from runners where id = ${runner} and revoked_at is null)
      and (item.result_parts = 0 or ${whole('result')}) and (item.intermediate_parts = 0 or ${whole('intermediate')})
      and jobs.stream_bytes >= min(coalesce(item.stream_bytes, 0), ${streamStoredBytes})
    returning ${endedColumns}`)
}

/** All parts of a payload are stored, numbered from 0 without a gap, and have the bytes announced. */
function whole(kind: 'result' | 'intermediate'): SQL {
  const column = sql.raw(`item.${kind}`)
  return sql`(select count(*) = ${column}_parts and max(seq) = ${column}_parts - 1 and sum(length(bytes)) = ${column}_bytes
    from parts indexed by parts_place where job = item.id and kind = ${kind} and attempt = item.attempt)`
}

/** The leases whose results are stored, among these jobs; null when the runner is revoked. */
async function selectStored(
  { orm }: Db,
  { runner, ids }: { runner: string; ids: readonly string[] },
): Promise<Ended[] | null> {
  const [enrolled, rows] = await orm.batch([
    orm.all(sql`select 1 from runners where id = ${runner} and revoked_at is null`),
    orm.all<Ended>(sql`
      select ${endedColumns} from jobs where id in (select value from json_each(${JSON.stringify(ids)}))
        and runner = ${runner} and origin = 'queue' and state in ('success', 'failed') and result_bytes > 0`),
  ])
  return enrolled.length === 0 ? null : rows
}
