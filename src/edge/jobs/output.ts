import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import { expire } from './expire.ts'

/** A lease on a streaming job. */
export type StreamLease = { runner: string; id: string; attempt: number }

/** `stored`: bytes of output in the database, from the first on. `unreadMs`: how long it runs on while nobody reads; null: to its end. */
export type StoredStream = { stored: number; unreadMs: number | null }

/** Pieces shorter than this grow with what follows: a stream of tokens is stored each second, and must not leave a row each time. */
const grownBytes = 16 * 1024
/** One read: as much as one piece may have. */
const readBytes = 256 * 1024
const readPieces = 64

/** @returns null when the lease is not the runner's, or the job no stream. */
export async function selectUpload({ orm }: Db, lease: StreamLease): Promise<StoredStream | null> {
  const [row] = await orm.all<{ stored: number; unread_ms: number | null }>(sql`
    select stream_bytes as stored, unread_ms from jobs where ${holds(lease)}`)
  return row ? { stored: row.stored, unreadMs: row.unread_ms } : null
}

/** Says which relay may have passed output on, and which time it began to: what comes late takes back nothing newer. */
export type OutputNote = { relay: string; turn: number }

/** `noted`: the note is there, and of who asked: nobody else takes it back. */
export type OpenedStream = StoredStream & { noted: boolean }

/**
 * Lets a relay pass output on before any of it is stored: from then on no other attempt may begin, since somebody may have read what this
 * one said. The note of another relay stays, as only that one knows whether it has passed anything on. A lease that has lapsed, on a job
 * that nobody has claimed since, is taken up again.
 * @returns null when the lease is not the runner's, or the job no stream.
 */
export async function openOutput(
  { orm, now }: Db,
  { relay, turn, leaseMs, ...lease }: StreamLease & OutputNote & { leaseMs: number },
): Promise<OpenedStream | null> {
  const isOurs = sql`substr(stream_relay, 1, ${relay.length + 1}) = ${`${relay} `}`
  const note = noteOf({ relay, turn })
  const [row] = await orm.all<{ stored: number; unread_ms: number | null; note: string }>(sql`
    update jobs set stream_relay = iif(stream_relay is null or ${isOurs}, ${note}, stream_relay), ${takenUp(now, leaseMs)}
    where ${holds(lease)} returning stream_bytes as stored, unread_ms, stream_relay as note`)
  return row ? { stored: row.stored, unreadMs: row.unread_ms, noted: row.note === note } : null
}

/** A relay that has passed nothing on does not intend to: another attempt may begin. */
export async function closeOutput(
  { orm }: Db,
  { relay, turn, ...lease }: StreamLease & OutputNote,
): Promise<void> {
  await orm.run(sql`
    update jobs set stream_relay = null
    where ${holds(lease)} and stream_relay = ${noteOf({ relay, turn })} and stream_bytes = 0`)
}

function noteOf({ relay, turn }: OutputNote): string {
  return `${relay} ${turn}`
}

/**
 * Stores output that follows what is stored. What was stored in between, or by somebody else, makes it fail: bytes are never twice in
 * the database, and never missing. A lease that has lapsed, on a job that nobody has claimed since, is taken up again: with the first
 * bytes stored, no other attempt may begin.
 * @returns false when it does not follow, or the lease is not the runner's.
 */
export async function storeOutput(
  { orm, now }: Db,
  { from, bytes, leaseMs, ...lease }: StreamLease & { from: number; bytes: Uint8Array; leaseMs: number },
): Promise<boolean> {
  const follows = sql`exists (select 1 from jobs where ${holds(lease)} and stream_bytes = ${from})`
  const last = sql`(select max(seq) from parts indexed by parts_place where ${pieces(lease)})`
  const advance = orm.all(sql`
    update jobs set stream_bytes = ${from + bytes.byteLength}, ${takenUp(now, leaseMs)}
    where ${holds(lease)} and stream_bytes = ${from} returning id`)
  const add = (unless: SQL) =>
    orm.run(sql`
      insert into parts (job, kind, attempt, seq, bytes)
      select ${lease.id}, 'stream', ${lease.attempt}, ${from}, ${bytes} where ${follows} ${unless}`)
  if (from === 0 || bytes.byteLength >= grownBytes) {
    const [, rows] = await orm.batch([add(sql``), advance])
    return rows.length === 1
  }
  const [, , rows] = await orm.batch([
    orm.run(sql`
      update parts indexed by parts_place set bytes = cast(bytes || ${bytes} as blob)
      where ${pieces(lease)} and seq = ${last} and length(bytes) < ${grownBytes} and ${follows}`),
    add(sql`and not exists (
      select 1 from parts indexed by parts_place where ${pieces(lease)} and seq = ${last} and seq + length(bytes) > ${from})`),
    advance,
  ])
  return rows.length === 1
}

/** Output from an offset to another, as it is stored, some pieces in memory at a time. */
export async function* readOutput(
  { orm }: Db,
  { id, attempt, from, to }: { id: string; attempt: number; from: number; to: number },
): AsyncGenerator<Uint8Array> {
  const ours = pieces({ id, attempt })
  for (let offset = from; offset < to; ) {
    const rows = await orm.all<{ seq: number; bytes: ArrayBuffer | Uint8Array }>(sql`
      select seq, bytes from (
        select seq, bytes, sum(length(bytes)) over (order by seq) as total, row_number() over (order by seq) as place
        from (
          select seq, bytes from parts indexed by parts_place
          where ${ours} and seq >= (select max(seq) from parts indexed by parts_place where ${ours} and seq <= ${offset})
          order by seq limit ${readPieces}))
      where total <= ${readBytes} or place = 1 order by seq`)
    const before = offset
    for (const { seq, bytes } of rows) {
      const piece = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
      const wanted = piece.subarray(offset - seq, to - seq)
      offset += wanted.byteLength
      if (wanted.byteLength > 0) yield wanted
    }
    if (offset === before) throw new Error(`The output of job ${id} is missing from ${offset} on.`)
  }
}

export type Unread = { instance: string | null; watched: boolean }

/** Ends a stream that nobody reads any more. @returns null when it has ended already. */
export async function cancelUnread({ orm, now }: Db, id: string): Promise<Unread | null> {
  const [[row]] = await orm.batch([
    orm.all<{ instance: string | null; watched: number }>(sql`
      update jobs set state = 'cancelled', finished_at = ${now}, lease_expires_at = null, error_code = 'cancelled',
        error_message = 'Its client left.', data = null, data_parts = 0
      where id = ${id} and destination = 2 and state in ('queued', 'running')
      returning instance, watched`),
    orm.run(sql`
      delete from parts indexed by parts_place where job = ${id} and kind = 'data'
        and exists (select 1 from jobs where id = ${id} and state = 'cancelled')`),
  ])
  return row ? { instance: row.instance, watched: row.watched === 1 } : null
}

/** `leftMs`: until it may expire; null: it does not wait, or not any more. */
export type Expiry = { expired: boolean; leftMs: number | null }

/** Ends a stream that no runner took in time, without waiting for the sweep. */
export async function expireStream({ orm, now }: Db, id: string): Promise<Expiry> {
  const [expired, , [waiting]] = await orm.batch([
    orm.all(
      expire({
        now,
        jobs: sql`id = ${id} and destination = 2 and state = 'queued' and expires_at <= ${now}`,
      }),
    ),
    orm.run(sql`
      delete from parts indexed by parts_place where job = ${id} and kind = 'data'
        and exists (select 1 from jobs where id = ${id} and state = 'expired')`),
    orm.all<{ left: number }>(
      sql`select expires_at - ${now} as left from jobs where id = ${id} and state = 'queued'`,
    ),
  ])
  return { expired: expired.length === 1, leftMs: waiting ? waiting.left : null }
}

function holds({ runner, id, attempt }: StreamLease): SQL {
  return sql`id = ${id} and attempt = ${attempt} and runner = ${runner} and destination = 2 and state in ('running', 'queued')
    and exists (select 1 from runners where id = ${runner} and revoked_at is null)`
}

function takenUp(now: SQL, leaseMs: number): SQL {
  return sql`state = 'running',
    lease_expires_at = case when state = 'queued' then ${now} + ${leaseMs} else lease_expires_at end`
}

function pieces({ id, attempt }: { id: string; attempt: number }): SQL {
  return sql`job = ${id} and kind = 'stream' and attempt = ${attempt}`
}
