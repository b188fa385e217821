import { SqlError } from './error.ts'
import type { StmtResult } from './result.ts'
import type { Stmt } from './schema.ts'
import { type Scope, sqlOf, type Work } from './stream.ts'

/** Runs one statement, again and again while another connection holds the lock and the driver has patience. */
export function* execute({ stream, budget }: Scope, stmt: Stmt): Work<StmtResult> {
  const options = { sql: sqlOf(stream, stmt), args: stmt, wantRows: stmt.want_rows ?? true, budget }
  for (let refusals = 0; ; refusals++) {
    try {
      return stream.connection.run(options)
    } catch (error) {
      const isRefused = error instanceof SqlError && error.code === 'SQLITE_BUSY'
      if (isRefused && error.busy && (yield refusals)) continue
      if (isRefused) stream.connection.giveUp()
      throw error
    }
  }
}
