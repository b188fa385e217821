import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import { containersIn, namesIn } from './route.ts'

/** A process that was silent for so long says nothing of now. */
const silentMs = 120_000

/**
 * Containers that are ready nowhere, and why, in the words of the process that was heard of last. @param among a condition on `instances`:
 * which processes are asked. Columns container, why, last.
 */
export function downAmong({ now, among }: { now: SQL; among: SQL }): SQL {
  return sql`
    select one.value ->> 'id' as container,
      coalesce(one.value ->> 'code' || ': ', '') || coalesce(one.value ->> 'detail', one.value ->> 'health') as why,
      max(last_seen_at) as last
    from instances indexed by instances_seen join json_each(instances.health) as one
    where last_seen_at > ${now} - ${silentMs} and ${among}
    group by 1 having sum(one.value ->> 'health' = 'ready') = 0`
}

/**
 * What keeps the hosts that have all containers of a route. `down`: the first of these that is ready on none of them. `held`: hosts that
 * claim nothing at all, by their mode or by the code of what is wrong with them. `heard`: how many were heard of lately.
 */
export type Hindrances = {
  down: { container: string; why: string } | null
  held: readonly { why: string; hosts: number }[]
  heard: number
}

export async function readHindrances({ orm, now }: Db, route: string): Promise<Hindrances> {
  const containers = containersIn(namesIn(sql`${route}`))
  const hasAll = sql`runner in (
    select id from runners where revoked_at is null and not exists (
      select 1 from ${containers} as c where c.value not in (select one.value ->> 'id' from json_each(runners.containers) as one)))`
  const [down, hosts] = await orm.batch([
    orm.all<{ container: string; why: string }>(sql`
      with down as (${downAmong({ now, among: hasAll })})
      select container, why from ${containers} as c join down on container = c.value order by c.key limit 1`),
    orm.all<{ why: string | null; hosts: number }>(sql`
      select coalesce(nullif((select mode from runners where id = runner), 'run'), (
          select finding.value ->> 'code' from json_each(coalesce(host, '{}'), '$.findings') as finding
          where finding.value ->> 'containers' is null limit 1)) as why, count(*) as hosts
      from instances indexed by instances_seen where last_seen_at > ${now} - ${silentMs} and ${hasAll} group by 1 order by 2 desc, 1`),
  ])
  return {
    down: down[0] ?? null,
    held: hosts.flatMap(({ why, hosts: count }) => (why === null ? [] : [{ why, hosts: count }])),
    heard: hosts.reduce((sum, { hosts: count }) => sum + count, 0),
  }
}
