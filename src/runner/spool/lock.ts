import { join } from 'node:path'
import Database from 'libsql'

/** Two processes on one spool would report and delete each other's results. */
export class LockedError extends Error {
  override readonly name = 'LockedError'
}

/**
 * Claims a directory for this process until it ends, however it ends: Node has no locks of files of its own, so an empty database is
 * locked. The kernel lets go of that with the process, and it is the file's, by whatever path, and from whichever container, it is
 * reached.
 * @returns the release.
 * @throws LockedError when another process has it.
 */
export function lockDirectory(directory: string): () => void {
  const database = new Database(join(directory, 'lock'))
  try {
    // No journal, so that nothing is written: a full disk keeps nobody from reporting what is in the spool.
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    const busy = cause instanceof Error && 'code' in cause && cause.code === 'SQLITE_BUSY'
    if (busy) throw new LockedError(`Another runner uses the spool ${directory}`, { cause })
    throw new Error(`The spool ${directory} cannot be locked`, { cause })
  }
  return () => database.close()
}
