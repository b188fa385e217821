import { type SQL, sql } from 'drizzle-orm'
import { downAmong } from './down.ts'
import { containersIn, namesIn } from './route.ts'

/**
 * Expires jobs that wait. Where one of their containers is ready nowhere, the error says why. @param jobs which; those that do not wait are
 * to be left out. Returns id, route, state and watched of each.
 */
export function expire({ now, jobs }: { now: SQL; jobs: SQL }): SQL {
  const containers = containersIn(namesIn(sql`route`))
  return sql`
    with down as materialized (${downAmong({ now, among: sql`true` })})
    update jobs set state = 'expired', finished_at = ${now}, error_code = 'expired',
      error_message = 'No runner took the job before it expired.' || coalesce((
        select ' Container ' || container || ' is not ready: ' || why
        from ${containers} as c join down on container = c.value order by c.key limit 1), ''),
      data = null, data_parts = 0
    where ${jobs}
    returning id, route, state, watched`
}
