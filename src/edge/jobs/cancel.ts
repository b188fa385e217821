import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

/** `instance`: the process that works on it, or may still, and is to be told; null: nobody ever took it. */
export type Cancelled = { instance: string | null; watched: boolean }

/** Ends a job that waits or runs. @returns null when it is not the owner's, or has ended. */
export async function cancel(
  { orm, now }: Db,
  { owner, id }: { owner: string; id: string },
): Promise<Cancelled | null> {
  const [row] = await orm.all<{ instance: string | null; watched: number }>(sql`
    update jobs set state = 'cancelled', finished_at = ${now}, lease_expires_at = null, error_code = 'cancelled',
      error_message = 'The job was cancelled by its owner.'
    where id = ${id} and +owner = ${owner} and origin = 'queue' and state in ('queued', 'running')
    returning instance, watched`)
  return row ? { instance: row.instance, watched: row.watched === 1 } : null
}
