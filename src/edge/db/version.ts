import { sql } from 'drizzle-orm'
import journal from '../../../drizzle/meta/_journal.json' with { type: 'json' }
import type { Db } from './open.ts'

/** The newest migration that this code was written for, by its time in drizzle's journal. */
export const schemaVersion: number = Math.max(...journal.entries.map(entry => entry.when))

/** `Error` when the database was never migrated. */
export function selectSchemaVersion({ orm }: Db) {
  return orm.all<{ version: number | null }>(sql`select max(created_at) as version from __drizzle_migrations`)
}
