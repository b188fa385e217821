import { type SQL, sql } from 'drizzle-orm'
import { containersIn, namesIn } from './route.ts'

/** A process that was silent for so long says nothing of now. */
const silentMs = 120_000

/**
 * Expires jobs that wait. Where one of their containers is ready nowhere, the error says why, in the words of the process that was heard of
 * last. @param jobs which; those that do not wait are to be left out. Returns id, route, state and watched of each.
 */
export function expire({ now, jobs }: { now: SQL; jobs: SQL }): SQL {
  const containers = containersIn(namesIn(sql`route`))
  return sql`
    with down (container, why, last) as materialized (
      select one.value ->> 'id',
        coalesce(one.value ->> 'code' || ': ', '') || coalesce(one.value ->> 'detail', one.value ->> 'health'), max(last_seen_at)
      from instances join json_each(instances.health) as one
      where last_seen_at > ${now} - ${silentMs}
      group by 1 having sum(one.value ->> 'health' = 'ready') = 0)
    update jobs set state = 'expired', finished_at = ${now}, error_code = 'expired',
      error_message = 'No runner took the job before it expired.' || coalesce((
        select ' Container ' || container || ' is not ready: ' || why
        from ${containers} as c join down on container = c.value order by c.key limit 1), ''),
      data = null, data_parts = 0
    where ${jobs}
    returning id, route, state, watched`
}
