import { type SQL, sql } from 'drizzle-orm'

/** The containers of a route, joined by commas, without what is required of their host. */
export function namesIn(route: SQL): SQL {
  return sql`iif(instr(${route}, ' ') = 0, ${route}, substr(${route}, 1, instr(${route}, ' ') - 1))`
}

/** The same as rows. Their names need no escapes. */
export function containersIn(names: SQL): SQL {
  return sql`json_each('["' || replace(${names}, ',', '","') || '"]')`
}
