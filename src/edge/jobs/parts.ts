import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

export type PartKind = 'data' | 'result' | 'intermediate'

/**
 * Parts read by one statement. A part on its way is in memory as response, as base64 and as bytes, about 2 MiB, and many are read
 * at once: with four in a statement twenty readers of 16 MiB took workerd to 735 MiB, in 4.7 s; with one to 343, in 3.5 s.
 */
const partsPerRead = 1

export type PartsRef = { id: string; kind: PartKind; attempt: number; parts: number }

/** The bytes of a payload that lives in parts, in order, a few parts in memory at a time. */
export async function* readParts(
  { orm }: Db,
  { id, kind, attempt, parts }: PartsRef,
): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < parts; from += partsPerRead) {
    const rows = await orm.all<{ bytes: ArrayBuffer | Uint8Array }>(sql`
      select bytes from parts indexed by parts_place
      where job = ${id} and kind = ${kind} and attempt = ${attempt} and seq >= ${from} and seq < ${from + partsPerRead}
      order by seq`)
    if (rows.length !== Math.min(partsPerRead, parts - from))
      throw new Error(`A part of job ${id} is missing.`)
    for (const { bytes } of rows) yield bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  }
}

/**
 * Stores a part of a result of the lease's holder; the same part again replaces itself.
 * @returns false when the lease is not the runner's.
 */
export async function storePart(
  { orm }: Db,
  part: {
    runner: string
    id: string
    attempt: number
    kind: 'result' | 'intermediate'
    seq: number
    bytes: Uint8Array
  },
): Promise<boolean> {
  const rows = await orm.all(sql`
    insert into parts (job, kind, attempt, seq, bytes)
    select ${part.id}, ${part.kind}, ${part.attempt}, ${part.seq}, ${part.bytes}
    where exists (select 1 from jobs where id = ${part.id} and attempt = ${part.attempt} and runner = ${part.runner}
        and state in ('running', 'queued'))
      and exists (select 1 from runners where id = ${part.runner} and revoked_at is null)
    on conflict (job, kind, attempt, seq) do update set bytes = excluded.bytes
    returning seq`)
  return rows.length === 1
}

export type InputRow = { data: string | null; data_bytes: number; data_parts: number }

/** Where the input of a lease is; null when the lease is not the runner's. */
export async function selectInput(
  { orm }: Db,
  lease: { runner: string; id: string; attempt: number },
): Promise<InputRow | null> {
  const [row] = await orm.all<InputRow>(sql`
    select data, data_bytes, data_parts from jobs
    where id = ${lease.id} and attempt = ${lease.attempt} and runner = ${lease.runner} and state in ('running', 'queued')
      and exists (select 1 from runners where id = ${lease.runner} and revoked_at is null)`)
  return row ?? null
}
