import { SqlError } from './error.ts'

const BUSY = 5
const BUSY_RECOVERY = 261

/** sqld reports the primary result code by these names (libsql-server, hrana/stmt.rs); all others are UNKNOWN. */
const names: Record<number, string> = {
  2: 'SQLITE_INTERNAL',
  3: 'SQLITE_PERM',
  4: 'SQLITE_ABORT',
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  7: 'SQLITE_NOMEM',
  8: 'SQLITE_READONLY',
  9: 'SQLITE_INTERRUPT',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  12: 'SQLITE_NOTFOUND',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  15: 'SQLITE_PROTOCOL',
  17: 'SQLITE_SCHEMA',
  18: 'SQLITE_TOOBIG',
  19: 'SQLITE_CONSTRAINT',
  20: 'SQLITE_MISMATCH',
  21: 'SQLITE_MISUSE',
  22: 'SQLITE_NOLFS',
  23: 'SQLITE_AUTH',
  25: 'SQLITE_RANGE',
  26: 'SQLITE_NOTADB',
}

const SYNTAX = /: syntax error$|^unrecognized token|^incomplete input$|^parser stack overflow$/
const NO_COLUMN = /^no such column: (.+)$/

/** Words the engine's error as sqld words it. */
export function fromEngine(cause: unknown, sql: string): SqlError {
  const message = cause instanceof Error ? cause.message : String(cause)
  const rawCode = rawCodeOf(cause)
  if (rawCode === 1) return fromGenericError(message, sql, cause)
  return new SqlError(names[rawCode & 0xff] ?? 'SQLITE_UNKNOWN', `SQLite error: ${message}`, {
    // BUSY_SNAPSHOT is left out on purpose: the transaction's snapshot is stale, waiting cannot help it.
    busy: rawCode === BUSY || rawCode === BUSY_RECOVERY,
    cause,
  })
}

// sqld parses SQL before the engine sees it, and has codes of its own for what the engine calls SQLITE_ERROR.
function fromGenericError(message: string, sql: string, cause: unknown): SqlError {
  if (SYNTAX.test(message)) {
    return new SqlError('SQL_PARSE_ERROR', `SQL string could not be parsed: ${message}`, { cause })
  }
  const column = NO_COLUMN.exec(message)?.[1]
  if (column !== undefined) {
    const text = `SQL input error: ${message} (at offset ${Math.max(0, sql.indexOf(column))})`
    return new SqlError('SQL_INPUT_ERROR', text, { cause })
  }
  return new SqlError('SQLITE_UNKNOWN', `SQLite error: ${message}`, { cause })
}

function rawCodeOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('rawCode' in error)) return -1
  return typeof error.rawCode === 'number' ? error.rawCode : -1
}
