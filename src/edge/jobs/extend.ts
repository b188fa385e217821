import { sql } from 'drizzle-orm'
import type { HostReport } from '../../protocol/host.ts'
import type { Db } from '../db/open.ts'

export type ExtendOptions = {
  runner: string
  instance: string
  leases: readonly { id: string; attempt: number; started: boolean }[]
  containers: readonly {
    id: string
    health: string
    code?: string | undefined
    detail?: string | undefined
  }[]
  /** Absent: as it was last told. */
  host?: HostReport | undefined
  leaseMs: number
  /** Longest time that a lease may be renewed: beyond, whoever beats does not work. */
  maxRunMs: number
}

/** `known` false: the runner is revoked, or the instance unknown. `kept`: ids of the leases renewed. */
export type Extended = { known: boolean; kept: Set<string> }

/**
 * Renews leases. One that lapsed but was not claimed by anybody since is taken up again, so that a network gap does not cost a
 * computation. `started` counts a try, once for each attempt.
 */
export async function extend({ orm, now }: Db, options: ExtendOptions): Promise<Extended> {
  const { runner, instance, leases, containers, leaseMs, maxRunMs } = options
  const host = options.host === undefined ? null : JSON.stringify(options.host)
  const ready = containers.filter(({ health }) => health === 'ready').map(({ id }) => id)
  const known = sql`exists (select 1 from runners where id = ${runner} and revoked_at is null)`
  const [seen, kept] = await orm.batch([
    orm.all<{ id: string }>(sql`
      update instances set last_seen_at = ${now}, ready = ${JSON.stringify(ready)}, health = ${JSON.stringify(containers)},
        host = coalesce(${host}, host)
      where id = ${instance} and runner = ${runner} and ${known} returning id`),
    orm.all<{ id: string }>(sql`
      update jobs set state = 'running', instance = ${instance}, lease_expires_at = ${now} + ${leaseMs},
        tries = jobs.tries + (lease.started and started_attempt < lease.attempt),
        started_at = case when lease.started and started_attempt < lease.attempt then ${now} else started_at end,
        started_attempt = case when lease.started then lease.attempt else started_attempt end
      from (select value ->> 'id' as id, value ->> 'attempt' as attempt, value ->> 'started' as started
        from json_each(${JSON.stringify(leases)})) as lease
      where jobs.id = lease.id and jobs.attempt = lease.attempt and jobs.runner = ${runner}
        and jobs.state in ('running', 'queued') and jobs.claimed_at > ${now} - ${maxRunMs} and ${known}
        and exists (select 1 from instances where id = ${instance} and runner = ${runner})
      returning id`),
  ])
  return { known: seen.length === 1, kept: new Set(kept.map(row => row.id)) }
}

/** Which of these leases are still the runner's: not ended, and of that attempt. */
export async function selectHeld(
  { orm }: Db,
  { runner, leases }: { runner: string; leases: readonly { id: string; attempt: number }[] },
): Promise<Set<string>> {
  if (leases.length === 0) return new Set()
  const rows = await orm.all<{ id: string }>(sql`
    select jobs.id from json_each(${JSON.stringify(leases)}) as lease
    join jobs on jobs.id = lease.value ->> 'id' and jobs.attempt = lease.value ->> 'attempt'
    where jobs.runner = ${runner} and jobs.state in ('running', 'queued')`)
  return new Set(rows.map(row => row.id))
}
