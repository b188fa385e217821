import { sql } from 'drizzle-orm'
import { calculateJwkThumbprint } from 'jose'
import type { EnrolRequest, Runner } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'

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
  containers: string
  last_seen_at: number | null
}

/** Every runner that was ever enrolled, newest first, 1,000 at most. */
export async function listRunners({ orm }: Db): Promise<Runner[]> {
  const rows = await orm.all<Row>(sql`
    select id, name, mode, enrolled_at, revoked_at, containers,
      (select max(last_seen_at) from instances where instances.runner = runners.id) as last_seen_at
    from runners order by enrolled_at desc, id limit 1000`)
  return rows.map(row => ({
    id: row.id,
    name: row.name,
    mode: row.mode,
    enrolled_at: new Date(row.enrolled_at).toISOString(),
    revoked_at: row.revoked_at === null ? null : new Date(row.revoked_at).toISOString(),
    last_seen_at: row.last_seen_at === null ? null : new Date(row.last_seen_at).toISOString(),
    containers: (JSON.parse(row.containers) as { id: string }[]).map(container => container.id),
  }))
}
