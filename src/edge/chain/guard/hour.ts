import { type SQL, sql } from 'drizzle-orm'
import { hourMs } from './window.ts'

/** The hour since 1970 that unix milliseconds are in: whole, whether they are bound as a whole number or not. */
export function hourOf(ms: SQL<number>): SQL {
  return sql`cast(${ms} / ${sql.raw(String(hourMs))} as integer)`
}
