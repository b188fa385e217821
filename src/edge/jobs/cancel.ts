import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

/** `instance`: the process that works on it, or may still, and is to be told; null: nobody ever took it. */
export type Cancelled = { instance: string | null; watched: boolean }

/**
 * Ends a job that waits or runs. Its input goes at once: nobody reads it any more, and the bounds of the queue no longer count it. What it
 * has streamed stays.
 * @returns null when it is not the owner's, or has ended.
 */
export async function cancel(
  { orm, now }: Db,
  { owner, id }: { owner: string; id: string },
): Promise<Cancelled | null> {
  const [[row]] = await orm.batch([
    orm.all<{ instance: string | null; watched: number }>(sql`
      update jobs set state = 'cancelled', finished_at = ${now}, lease_expires_at = null, error_code = 'cancelled',
        error_message = 'The job was cancelled by its owner.', data = null, data_parts = 0
      where id = ${id} and +owner = ${owner} and origin = 'queue' and state in ('queued', 'running')
      returning instance, watched`),
    orm.run(sql`
      delete from parts indexed by parts_place where job = ${id} and kind <> 'stream'
        and exists (select 1 from jobs where id = ${id} and +owner = ${owner} and state = 'cancelled')`),
  ])
  return row ? { instance: row.instance, watched: row.watched === 1 } : null
}
