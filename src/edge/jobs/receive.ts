import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import { destinationOf, fits, type JobTerms, type QueueBounds, room } from './enqueue.ts'
import { mayWait } from './lanes.ts'
import { forgetUnmade, isFirst, noteKeys } from './once.ts'

/** How long a body may take to arrive before the sweep takes its job away. */
const receiveMs = 10 * 60_000

/** `heldBytes`: what it counts for, against the bounds, until its size is known. */
export type Receiving = { id: string; owner: string; bounds: QueueBounds; heldBytes: number }

/**
 * Begins a job whose input is too large for its row: nobody knows its id until `completeReceive`.
 * @returns false when a bound was met.
 */
export async function beginReceive(
  { orm, now }: Db,
  { id, owner, bounds, heldBytes }: Receiving,
): Promise<boolean> {
  const rows = await orm.all(sql`
    insert into jobs (id, owner, route, state, created_at, expires_at, data_bytes)
    select ${id}, ${owner}, '', 'receiving', ${now}, ${now} + ${receiveMs}, ${heldBytes}
    where ${room(owner, bounds)} > 0 and ${fits(owner, { bytes: heldBytes, bounds })}
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

export type Received = JobTerms & {
  /** What `beginReceive` began. */
  received: string
  /** What the job is called from here on: the same, or what its maker chose. */
  id: string
  owner: string
  dataBytes: number
  dataParts: number
  epoch: number
}

/**
 * Puts the job, now whole, into the queue.
 * @returns false when the policy has moved on, the upload was swept, or the job was made before.
 */
export async function completeReceive(db: Db, job: Received): Promise<boolean> {
  const { orm } = db
  const { received, id, owner, once } = job
  const queued = orm.all(queue(db, job))
  // The parts go with the job when it is renamed; nobody else can have put a job under that id and left this one here.
  const renamed = orm.run(sql`
    update parts indexed by parts_place set job = ${id} where job = ${received} and not exists (select 1 from jobs where id = ${received})`)
  if (once?.key == null) {
    const rows = id === received ? await queued : (await orm.batch([queued, renamed]))[0]
    return rows.length === 1
  }
  const keyed = { owner, keyed: [{ ...once, key: once.key, id }] }
  const [, rows] = await orm.batch([noteKeys(db, keyed), queued, forgetUnmade(db, keyed)])
  return rows.length === 1
}

function queue({ now }: Db, job: Received): SQL {
  const { received, id, owner, once } = job
  const first =
    once?.key == null
      ? sql`(${id} = ${received} or not exists (select 1 from jobs where id = ${id}))`
      : isFirst({ owner, key: sql`${once.key}`, item: sql`${once.item}`, id: sql`${id}` })
  return sql`
    update jobs set state = 'queued', id = ${id}, route = ${job.route}, requires_proof = ${job.requiresProof ? 1 : 0},
      priority = ${job.priority}, timeout_ms = ${job.timeoutMs}, watched = ${job.watched ? 1 : 0},
      destination = ${destinationOf(job)}, unread_ms = ${job.stream?.unreadMs ?? null}, endpoint = ${job.endpoint},
      fingerprint = ${once?.fingerprint ?? null}, data_bytes = ${job.dataBytes}, data_parts = ${job.dataParts},
      expires_at = ${now} + ${job.expiryMs}
    where id = ${received} and state = 'receiving' and (select epoch from policy) = ${job.epoch}
      and ${mayWait(owner, { route: sql`${job.route}`, others: sql`0` })} and ${first}
    returning id`
}

/** Forgets a job that was refused after its input had begun to arrive. */
export async function abandonReceive({ orm }: Db, id: string): Promise<void> {
  const receiving = sql`exists (select 1 from jobs where id = ${id} and state = 'receiving')`
  await orm.batch([
    orm.run(sql`delete from parts indexed by parts_place where job = ${id} and ${receiving}`),
    orm.run(sql`delete from jobs where id = ${id} and state = 'receiving'`),
  ])
}
