import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

/**
 * Marks jobs as watched, so that whoever ends one rings for it, and tells which have not ended yet, the newest first. In one batch: an
 * end is either seen here or rung for.
 */
export async function watch(
  { orm }: Db,
  { owner, ids }: { owner: string; ids: readonly string[] },
): Promise<string[]> {
  const pending = sql`id in (select value from json_each(${JSON.stringify(ids)})) and owner = ${owner}
    and state in ('queued', 'running')`
  const [, rows] = await orm.batch([
    orm.run(sql`update jobs set watched = 1 where ${pending} and watched = 0`),
    orm.all<{ id: string }>(sql`select id from jobs where ${pending} order by id desc`),
  ])
  return rows.map(({ id }) => id)
}
