import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

export type ManualStatus = {
  owner: string
  id: string
  state: 'success' | 'failed' | 'running'
  containers: readonly string[]
}

/** Writes a status by hand. Jobs of the queue, and other owners' statuses, are never touched: then @returns false. */
export async function writeStatus({ orm, now }: Db, status: ManualStatus): Promise<boolean> {
  const rows = await orm.all(sql`
    insert into jobs (id, owner, origin, route, state, created_at, expires_at, finished_at)
    values (${status.id}, ${status.owner}, 'status', ${status.containers.join(',')}, ${status.state}, ${now}, ${now}, ${now})
    on conflict (id) do update set state = excluded.state, route = excluded.route, finished_at = excluded.finished_at
      where jobs.origin = 'status' and jobs.owner = excluded.owner
    returning id`)
  return rows.length === 1
}
