import { isUnavailable, isUnmigrated } from '../edge/db/errors.ts'
import type { Db } from '../edge/db/open.ts'
import { schemaVersion, selectSchemaVersion } from '../edge/db/version.ts'
import { describe, type Log } from '../edge/log.ts'
import { StartError } from './exit.ts'

/**
 * Sees to it that the database has the schema of this code. One that does not answer is no reason not to start: it may come, and
 * `/ready` says so until then.
 * @throws StartError when it is not migrated.
 */
export async function checkSchema(db: Db, log: Log): Promise<void> {
  if (await isCurrent(db, log)) return
  throw new StartError(
    'config',
    'The database is not migrated to the schema of this version: start with --migrate, or run `npm run db:migrate` first.',
  )
}

async function isCurrent(db: Db, log: Log): Promise<boolean> {
  try {
    const [row] = await selectSchemaVersion(db)
    return (row?.version ?? 0) >= schemaVersion
  } catch (error) {
    if (isUnmigrated(error)) return false
    if (!isUnavailable(error)) throw error
    log.warn('Database does not answer', { error: describe(error) })
    return true
  }
}
