import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

/**
 * A job that is to be made once, however often it is asked for. `fingerprint`: of the whole request. `key`: its `Idempotency-Key`, under
 * which the job is found again; null for a `PUT`, where the job's own id is the key. `item`: its place in a batch, else 0.
 */
export type Once = { key: string | null; item: number; fingerprint: string }

type Keyed = { id: string; key: string; item: number; fingerprint: string }
type KeyedJobs = { owner: string; keyed: readonly Keyed[] }

/**
 * Notes under which keys jobs are about to be made, in the batch that makes them. A key that is taken, or that stands for another
 * request, is left as it is.
 */
export function noteKeys({ orm, now }: Db, { owner, keyed }: KeyedJobs) {
  return orm.all<{ id: string }>(sql`
    insert into idempotency (owner, key, item, fingerprint, job, created_at)
    select ${owner}, value ->> 'key', value ->> 'item', value ->> 'fingerprint', value ->> 'id', ${now}
    from json_each(${JSON.stringify(keyed)})
    where not exists (select 1 from idempotency as other indexed by idempotency_place
      where other.owner = ${owner} and other.key = value ->> 'key' and other.fingerprint <> value ->> 'fingerprint')
    on conflict do nothing`)
}

/** Whether a key is this job's. */
export function isFirst({ owner, key, item, id }: { owner: string; key: SQL; item: SQL; id: SQL }): SQL {
  return sql`exists (select 1 from idempotency as first indexed by idempotency_place
    where first.owner = ${owner} and first.key = ${key} and first.item = ${item} and first.job = ${id})`
}

/** Takes back the keys of jobs that were not made after all: the same request may be sent again. */
export function forgetUnmade({ orm }: Db, { owner, keyed }: KeyedJobs) {
  const items = JSON.stringify(keyed)
  return orm.all<{ id: string }>(sql`
    delete from idempotency indexed by idempotency_place
    where owner = ${owner} and key in (select value ->> 'key' from json_each(${items}))
      and job in (select value ->> 'id' from json_each(${items}))
      and not exists (select 1 from jobs where jobs.id = idempotency.job and jobs.state <> 'receiving')`)
}

/** What became of a request with the same key before: its jobs by item, or `conflict` when it was another request. */
export type Earlier = { conflict: boolean; jobs: Map<number, string> }

export async function selectByKey(
  { orm }: Db,
  { owner, key, fingerprint }: { owner: string; key: string; fingerprint: string },
): Promise<Earlier> {
  const rows = await orm.all<{ item: number; job: string; fingerprint: string }>(
    sql`select item, job, fingerprint from idempotency indexed by idempotency_place where owner = ${owner} and key = ${key}`,
  )
  return {
    conflict: rows.some(row => row.fingerprint !== fingerprint),
    jobs: new Map(rows.map(({ item, job }) => [item, job])),
  }
}

/** The same for a job whose maker chose its id. */
export async function selectById(
  { orm }: Db,
  { owner, id, fingerprint }: { owner: string; id: string; fingerprint: string },
): Promise<Earlier> {
  const rows = await orm.all<{ same: number }>(sql`
    select owner = ${owner} and fingerprint is ${fingerprint} as same from jobs where id = ${id}`)
  const same = rows[0]?.same === 1
  return { conflict: rows.length > 0 && !same, jobs: new Map(same ? [[0, id]] : []) }
}
