import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

export type ManualStatus = {
  owner: string
  id: string
  state: 'success' | 'failed' | 'running'
  containers: readonly string[]
}

/**
 * Writes a status by hand.
 * @returns null for jobs of the queue and other owners' statuses, which are never touched; else whether a client waits for its end.
 */
export async function writeStatus(
  { orm, now }: Db,
  status: ManualStatus,
): Promise<{ watched: boolean } | null> {
  const [row] = await orm.all<{ watched: number }>(sql`
    insert into jobs (id, owner, origin, route, state, created_at, expires_at, finished_at)
    values (${status.id}, ${status.owner}, 'status', ${status.containers.join(',')}, ${status.state}, ${now}, ${now}, ${now})
    on conflict (id) do update set state = excluded.state, route = excluded.route, finished_at = excluded.finished_at
      where jobs.origin = 'status' and jobs.owner = excluded.owner
    returning watched`)
  return row ? { watched: row.watched === 1 } : null
}
