import type { EngineStatement, Row } from './engine.ts'
import { SqlError } from './error.ts'
import type { Limits } from './limits.ts'
import type { StmtResult } from './result.ts'
import { encodeValue, sizeOf } from './value.ts'

/** Bytes that the response may still take; shared by all statements of one HTTP request. */
export type Budget = { bytes: number }

/** Runs a statement that returns rows to its end, within the budget and the limit of a row. */
export function collect(
  statement: EngineStatement,
  args: Row,
  wantRows: boolean,
  budget: Budget,
  limits: Limits,
): StmtResult['rows'] {
  const rows: StmtResult['rows'] = []
  const source = statement.iterate(args)
  for (const row of source) {
    if (!wantRows) continue
    const problem = spend(row, budget, limits)
    if (problem !== undefined) {
      abandon(statement, source)
      throw problem
    }
    rows.push(row.map(encodeValue))
  }
  return rows
}

const JSON_BYTES_PER_VALUE = 32

function spend(row: Row, budget: Budget, limits: Limits): SqlError | undefined {
  let bytes = 0
  for (const value of row) bytes += sizeOf(value)
  if (bytes > limits.rowBytes) return new SqlError('SQLITE_TOOBIG', 'SQLite error: string or blob too big')
  budget.bytes -= bytes + row.length * JSON_BYTES_PER_VALUE
  return budget.bytes < 0 ? new SqlError('RESPONSE_TOO_LARGE', 'Response is too large') : undefined
}

// The binding has no reset: only an interrupted or finished statement lets go of its read transaction.
function abandon(statement: EngineStatement, source: Iterator<Row>): void {
  statement.interrupt()
  try {
    while (source.next().done !== true);
  } catch {
    // SQLITE_INTERRUPT: the statement has ended, which is all that we wanted.
  }
}
