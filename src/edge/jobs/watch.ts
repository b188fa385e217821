import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

type Watched = { owner: string; ids: readonly string[] }

/**
 * Marks jobs as watched, so that whoever ends one rings for it, and tells which have not ended yet, the newest first. In one batch: an
 * end is either seen here or rung for.
 */
export async function watch({ orm }: Db, watched: Watched): Promise<string[]> {
  const [, rows] = await orm.batch([
    orm.run(sql`update jobs set watched = 1 where ${unended(watched)} and watched = 0`),
    orm.all<{ id: string }>(sql`select id from jobs where ${unended(watched)} order by id desc`),
  ])
  return rows.map(({ id }) => id)
}

/** Which of these jobs, marked before, have not ended yet, the newest first. It writes nothing, so it waits for no writer. */
export async function selectUnended({ orm }: Db, watched: Watched): Promise<string[]> {
  const rows = await orm.all<{ id: string }>(
    sql`select id from jobs where ${unended(watched)} order by id desc`,
  )
  return rows.map(({ id }) => id)
}

/** The plus keeps SQLite from walking all of the owner's jobs instead of looking these up. */
function unended({ owner, ids }: Watched): SQL {
  return sql`id in (select value from json_each(${JSON.stringify(ids)})) and +owner = ${owner}
    and state in ('queued', 'running')`
}
