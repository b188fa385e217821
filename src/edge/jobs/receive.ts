import { sql } from 'drizzle-orm'
import { limits } from '../../protocol/limits.ts'
import type { Db } from '../db/open.ts'
import { fits, mayWait, type QueueBounds, room } from './enqueue.ts'

/** How long a body may take to arrive before the sweep takes its job away. */
const receiveMs = 10 * 60_000

/**
 * Begins a job whose input is too large for its row: nobody knows its id until `completeReceive`. It counts against the
 * bounds, as large as a body can be until its size is known.
 * @returns false when a bound was met.
 */
export async function beginReceive(
  { orm, now }: Db,
  { id, owner, bounds }: { id: string; owner: string; bounds: QueueBounds },
): Promise<boolean> {
  const rows = await orm.all(sql`
    insert into jobs (id, owner, route, state, created_at, expires_at, data_bytes)
    select ${id}, ${owner}, '', 'receiving', ${now}, ${now} + ${receiveMs}, ${limits.bodyBytes}
    where ${room(owner, bounds)} > 0 and ${fits(owner, { bytes: limits.bodyBytes, bounds })}
    returning id`)
  return rows.length === 1
}

/** Stores the next part of the input. A job that was swept meanwhile stores nothing. */
export async function receivePart(
  { orm }: Db,
  part: { id: string; seq: number; bytes: Uint8Array },
): Promise<void> {
  await orm.run(sql`
    insert into parts (job, kind, attempt, seq, bytes)
    select ${part.id}, 'data', 0, ${part.seq}, ${part.bytes}
    where exists (select 1 from jobs where id = ${part.id} and state = 'receiving')`)
}

export type Received = {
  id: string
  route: string
  requiresProof: boolean
  dataBytes: number
  dataParts: number
  epoch: number
  expiryMs: number
}

/** Puts the job, now whole, into the queue. @returns false when the policy has moved on, or the job was swept. */
export async function completeReceive({ orm, now }: Db, job: Received): Promise<boolean> {
  const rows = await orm.all(sql`
    update jobs set state = 'queued', route = ${job.route}, requires_proof = ${job.requiresProof ? 1 : 0},
      data_bytes = ${job.dataBytes}, data_parts = ${job.dataParts}, expires_at = ${now} + ${job.expiryMs}
    where id = ${job.id} and state = 'receiving' and (select epoch from policy) = ${job.epoch} and ${mayWait(sql`${job.route}`)}
    returning id`)
  return rows.length === 1
}

/** Forgets a job that was refused after its input had begun to arrive. */
export async function abandonReceive({ orm }: Db, id: string): Promise<void> {
  const receiving = sql`exists (select 1 from jobs where id = ${id} and state = 'receiving')`
  await orm.batch([
    orm.run(sql`delete from parts indexed by parts_place where job = ${id} and ${receiving}`),
    orm.run(sql`delete from jobs where id = ${id} and state = 'receiving'`),
  ])
}
