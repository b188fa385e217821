import { type BatchResult, runBatch } from './batch.ts'
import { ProtocolError, SqlError, type WireError, wireError } from './error.ts'
import { execute } from './execute.ts'
import type { Limits } from './limits.ts'
import type { DescribeResult, StmtResult } from './result.ts'
import type { StreamRequest } from './schema.ts'
import { parseSql } from './sql.ts'
import { requireVersion3, type Scope, sqlOf, type Work } from './stream.ts'

type StreamResponse =
  | { type: 'execute'; result: StmtResult }
  | { type: 'batch'; result: BatchResult }
  | { type: 'describe'; result: DescribeResult }
  | { type: 'get_autocommit'; is_autocommit: boolean }
  | { type: 'sequence' | 'store_sql' | 'close_sql' | 'close' }

export type StreamResult = { type: 'ok'; response: StreamResponse } | { type: 'error'; error: WireError }

/** All requests run in order, also after one that failed: that is the specification. */
export function* runPipeline(scope: Scope, requests: StreamRequest[], limits: Limits): Work<StreamResult[]> {
  const results: StreamResult[] = []
  for (const request of requests) {
    if (scope.stream.closed) throw new ProtocolError('Stream for this baton was closed')
    results.push(yield* answer(scope, request, limits))
  }
  return results
}

function* answer(scope: Scope, request: StreamRequest, limits: Limits): Work<StreamResult> {
  try {
    return { type: 'ok', response: yield* respond(scope, request, limits) }
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    return { type: 'error', error: wireError(error) }
  }
}

function* respond(scope: Scope, request: StreamRequest, limits: Limits): Work<StreamResponse> {
  const { stream } = scope
  switch (request.type) {
    case 'execute':
      return { type: 'execute', result: yield* execute(scope, request.stmt) }
    case 'batch':
      return { type: 'batch', result: yield* runBatch(scope, request.batch) }
    case 'sequence':
      yield* runSequence(scope, sqlOf(stream, request))
      return { type: 'sequence' }
    case 'describe':
      return { type: 'describe', result: stream.connection.describe(sqlOf(stream, request)) }
    case 'store_sql':
      storeSql(scope, request.sql_id, request.sql, limits)
      return { type: 'store_sql' }
    case 'close_sql':
      stream.sqls.delete(request.sql_id)
      return { type: 'close_sql' }
    case 'get_autocommit':
      requireVersion3(scope, 'The `get_autocommit` request')
      return { type: 'get_autocommit', is_autocommit: !stream.connection.inTransaction }
    case 'close':
      stream.closed = true
      return { type: 'close' }
  }
}

function* runSequence(scope: Scope, sql: string): Work<void> {
  for (const { text } of parseSql(sql)) yield* execute(scope, { sql: text, want_rows: false })
}

function storeSql({ stream: { sqls } }: Scope, id: number, sql: string, limits: Limits): void {
  if (sqls.has(id)) throw new ProtocolError(`SQL text ${id} already exists`)
  if (sqls.size >= limits.storedSqls) {
    const text = `The server already stores ${sqls.size} SQL texts, it cannot store more`
    throw new SqlError('SQL_STORE_TOO_MANY', text)
  }
  const bytes = Buffer.byteLength(sql)
  if (bytes > limits.storedSqlBytes) {
    const text = `The statement is too large to be stored: ${bytes}/${limits.storedSqlBytes}`
    throw new SqlError('SQL_STORE_TOO_LARGE', text)
  }
  sqls.set(id, sql)
}
