import Database from 'libsql'
import type { EngineValue } from './value.ts'

// The part of npm `libsql` 0.5.29 that we use, typed by what it does (its own declarations are better-sqlite3's).
// Found by trying it:
// - raw() throws on a statement without columns, and run() on one with columns stops after its first row: check `reader`.
// - run() gives lastInsertRowid as a double, exact only below 2^53.
// - A named bind aborts the process when the text has a bare `?`, and a boolean argument aborts it too: we bind by
//   position only, and only the five value types.
// - prepare() ignores all that follows the first statement, and throws SQLITE_OK for none.
// - iterate() takes rows from the engine by the hundred; leaving it half way keeps the read transaction open.
// - Text reads stop at a NUL byte; text that is not UTF-8 aborts the process (see docs/local-libsql.md).
// - close() lets go of the file only when the last prepared statement has been collected.

export type Row = EngineValue[]

export type EngineStatement = {
  readonly reader: boolean
  raw(on: boolean): unknown
  safeIntegers(on: boolean): unknown
  columns(): { name: string; type: string | null }[]
  run(args: EngineValue[]): { changes: number; lastInsertRowid: number }
  get(args: EngineValue[]): Row | undefined
  iterate(args: EngineValue[]): IterableIterator<Row>
  interrupt(): void
}

export type Engine = {
  readonly inTransaction: boolean
  prepare(sql: string): EngineStatement
  exec(sql: string): void
  close(): void
}

export function openEngine(path: string): Engine {
  return new Database(path) as unknown as Engine
}
