import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '../../src/edge/db/migrate.ts'

export type DatabaseFile = { url: string; close(): Promise<void> }

/** An empty, migrated database in a file that is removed at the end. */
export async function createDatabaseFile(): Promise<DatabaseFile> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-database-'))
  const url = `file:${join(folder, 'edge.db')}`
  await migrate({ url })
  return { url, close: async () => rmSync(folder, { recursive: true, force: true }) }
}
