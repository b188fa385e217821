import type { Connection } from './connection.ts'
import { ProtocolError } from './error.ts'
import type { Budget } from './rows.ts'
import type { Source } from './schema.ts'

/** One client's conversation: a connection of its own and the SQL texts that it stored. */
export type Stream = {
  connection: Connection
  sqls: Map<number, string>
  closed: boolean
}

/** What a request of a pipeline runs with. */
export type Scope = { stream: Stream; version: 2 | 3; budget: Budget }

/**
 * Work on a stream that stops where another connection holds the lock. It yields how often the same statement has
 * been refused so far; whoever drives it answers whether to try again.
 */
export type Work<T> = Generator<number, T, boolean>

export function sqlOf(stream: Stream, { sql, sql_id }: Source): string {
  if (sql != null && sql_id != null)
    throw new ProtocolError('Either `sql` or `sql_id` are required, but not both')
  if (sql != null) return sql
  if (sql_id == null) throw new ProtocolError('Either `sql` or `sql_id` are required')
  const stored = stream.sqls.get(sql_id)
  if (stored === undefined) throw new ProtocolError(`SQL text ${sql_id} not found`)
  return stored
}

export function requireVersion3({ version }: Scope, what: string): void {
  if (version < 3) throw new ProtocolError(`${what} is only supported in protocol version hrana3 and higher`)
}
