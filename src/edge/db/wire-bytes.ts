import { type SQL, sql } from 'drizzle-orm'

/** What text takes of a response, as JSON within UTF-8: up to six times its characters. */
export function wireBytes(text: SQL): SQL {
  // Joined to nothing, it is text, also where SQLite knows that it is JSON, which is not quoted again.
  return sql`coalesce(length(cast(json_quote(${text} || '') as blob)), 4)`
}
