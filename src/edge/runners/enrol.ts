import { sql } from 'drizzle-orm'
import { calculateJwkThumbprint } from 'jose'
import type { HostLabels, Labels } from '../../protocol/labels.ts'
import type { EnrolRequest, Runner } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'
import { wireBytes } from '../db/wire-bytes.ts'
import { readProcesses } from './processes.ts'

/** Enrols a host's public key; enrolling it again renames it and lifts a revocation. @returns the runner's id. */
export async function enrol({ orm, now }: Db, { name, public_key }: EnrolRequest): Promise<string> {
  const id = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x: public_key })
  await orm.run(sql`
    insert into runners (id, name, public_key, enrolled_at) values (${id}, ${name}, ${public_key}, ${now})
    on conflict (id) do update set name = excluded.name, revoked_at = null`)
  return id
}

/** From here on every statement of the runner matches nothing. Its leases lapse. @returns false when it is not enrolled. */
export async function revoke({ orm, now }: Db, id: string): Promise<boolean> {
  const rows = await orm.all(
    sql`update runners set revoked_at = coalesce(revoked_at, ${now}) where id = ${id} returning id`,
  )
  return rows.length === 1
}

/** @returns false when the runner is not enrolled. */
export async function setMode(
  { orm }: Db,
  { id, mode }: { id: string; mode: Runner['mode'] },
): Promise<boolean> {
  const rows = await orm.all(sql`update runners set mode = ${mode} where id = ${id} returning id`)
  return rows.length === 1
}

type Row = {
  id: string
  name: string
  mode: Runner['mode']
  enrolled_at: number
  revoked_at: number | null
  /** JSON array of their ids. */
  containers: string
  /** JSON of protocol's `Labels`. */
  labels: string
  /** JSON of protocol's `HostLabels['gpu_labels']`. */
  gpu_labels: string
  last_seen_at: number | null
}

/** Of one statement, so that a SQL response stays below 4 MiB: what runners offer, and their labels, may be much. */
const runnersPerRead = 200
const bytesPerRead = 3 * 1024 * 1024
const maxListed = 1_000

/** Every runner that was ever enrolled, newest first, 1,000 at most. */
export async function listRunners(db: Db): Promise<Runner[]> {
  const { orm } = db
  const listed: Row[] = []
  while (listed.length < maxListed) {
    // Names only: whole policies are up to 256 KiB each.
    const rows = await orm.all<Row>(sql`
      select id, name, mode, enrolled_at, revoked_at, labels, gpu_labels, containers, last_seen_at from (
        select *, row_number() over newest_first as place,
          sum(500 + ${wireBytes(sql`containers`)} + ${wireBytes(sql`labels`)} + ${wireBytes(sql`gpu_labels`)}) over newest_first as total
        from (
          select id, name, mode, enrolled_at, revoked_at, labels, gpu_labels,
            (select json_group_array(value ->> 'id') from json_each(containers)) as containers,
            (select max(last_seen_at) from instances where instances.runner = runners.id) as last_seen_at
          from runners order by enrolled_at desc, id limit ${runnersPerRead} offset ${listed.length})
        window newest_first as (order by enrolled_at desc, id))
      where total <= ${bytesPerRead} or place = 1 order by place`)
    listed.push(...rows.slice(0, maxListed - listed.length))
    if (rows.length === 0) break
  }
  const processes = await readProcesses(db)
  return listed.map(row => ({
    id: row.id,
    name: row.name,
    mode: row.mode,
    enrolled_at: new Date(row.enrolled_at).toISOString(),
    revoked_at: row.revoked_at === null ? null : new Date(row.revoked_at).toISOString(),
    last_seen_at: row.last_seen_at === null ? null : new Date(row.last_seen_at).toISOString(),
    containers: JSON.parse(row.containers) as string[],
    labels: JSON.parse(row.labels) as Labels,
    gpu_labels: [...(JSON.parse(row.gpu_labels) as HostLabels['gpu_labels'])],
    process: processes.get(row.id) ?? null,
  }))
}
