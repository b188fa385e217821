import { LibsqlError } from '@libsql/client/web'

/** Codes of a server that answered: it refused the statement, or what the statement found. */
const refusedCode = /^(SQL_|ARGS_|RESPONSE_TOO_LARGE|SQLITE_(?!BUSY))/

/** The database did not answer, as opposed to refusing a statement: the same request may succeed later. */
export function isUnavailable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof LibsqlError) return !refusedCode.test(cause.code)
    if (cause instanceof TypeError && /fetch|network/i.test(cause.message)) return true
    if (cause.name === 'TimeoutError' || /network connection lost|disconnected/i.test(cause.message))
      return true
  }
  return false
}

/** Of a database that was never migrated, and has no list of its migrations. */
export function isEmptyDatabase(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.message.includes('no such table: __drizzle_migrations')) return true
  }
  return false
}

/** A table or column is missing: the database was never migrated, or not for this version. */
export function isUnmigrated(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (/no such (table|column)/.test(cause.message)) return true
  }
  return false
}
