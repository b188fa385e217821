import { type Args, bindArgs } from './args.ts'
import { type Engine, type EngineStatement, openEngine, type Row } from './engine.ts'
import { SqlError } from './error.ts'
import type { Limits } from './limits.ts'
import { createLru } from './lru.ts'
import { RESTORE_STATE } from './policy.ts'
import { type Column, changed, type DescribeResult, type StmtResult } from './result.ts'
import { type Budget, collect } from './rows.ts'
import { parseOne, type Statement } from './sql.ts'
import { fromEngine } from './sqlite-error.ts'
import type { EngineValue } from './value.ts'

export type Connection = {
  run(options: { sql: string; args: Args; wantRows: boolean; budget: Budget }): StmtResult
  describe(sql: string): DescribeResult
  readonly inTransaction: boolean
  /**
   * Nobody tries a statement again that was refused the lock. For the engine it is under way until it is collected: while it is, no
   * transaction is committed, and what a single statement writes is not either, though it is answered. So the engine's connection is left
   * behind, as soon as no transaction is open on it.
   */
  giveUp(): void
  /** Something ran that may have written, since the last time that this was asked. */
  takeWrote(): boolean
  /** Rolls back and undoes what a PRAGMA did to the connection, so that the next stream finds it as new. */
  reset(): void
  close(): void
}

/** Counts changes of the schema by any connection: a prepared statement keeps its old columns until it is prepared anew. */
export type Catalog = { version: number }

type Prepared = { statement: Statement; engine: EngineStatement; reader: boolean; cols: Column[] }

// A text this long is an inlined literal; it will not come again, and keeping it would cost memory.
const CACHED_SQL_LENGTH = 16_384

export function openConnection(path: string, setup: string, limits: Limits, catalog: Catalog): Connection {
  const statements = createLru<Prepared>(limits.statements)
  let { engine, tally } = openAnew()
  let isStuck = false
  let seenVersion = catalog.version
  let schemaChanged = false
  let tainted = false
  let wrote = false

  function openAnew() {
    const opened = openEngine(path)
    opened.exec(setup)
    return { engine: opened, tally: prepareForRows(opened, 'SELECT changes(), last_insert_rowid()') }
  }

  function leaveBehind(): void {
    if (!isStuck || engine.inTransaction) return
    statements.clear()
    engine.close()
    ;({ engine, tally } = openAnew())
    isStuck = false
  }

  function prepare(sql: string): Prepared {
    if (seenVersion !== catalog.version) {
      statements.clear()
      seenVersion = catalog.version
    }
    const known = statements.get(sql)
    if (known !== undefined) return known
    const prepared = prepareAnew(sql)
    if (sql.length <= CACHED_SQL_LENGTH) statements.set(sql, prepared)
    return prepared
  }

  function prepareAnew(sql: string): Prepared {
    const statement = parseOne(sql)
    if (statement.kind === 'refused') {
      throw new SqlError(
        'SQL_PARSE_ERROR',
        `SQL string could not be parsed: unsupported statement: ${sql.slice(0, 200)}`,
      )
    }
    return attempt(sql, () => {
      const compiled = prepareForRows(engine, statement.text)
      const reader = compiled.reader
      return { statement, engine: compiled, reader, cols: reader ? columnsOf(compiled) : [] }
    })
  }

  function note({ kind }: Statement): void {
    if (kind === 'read' || kind === 'explain') return
    wrote = true
    if (kind === 'pragma-state') tainted = true
    else if (kind === 'schema') schemaChanged = true
    if (schemaChanged) forgetSchema()
  }

  // Others learn of a new schema when its transaction has ended either way; this connection sees it at once.
  function forgetSchema(): void {
    statements.clear()
    if (engine.inTransaction) return
    schemaChanged = false
    catalog.version++
  }

  // The rowid is that of this statement or 0; the connection's own memory of it may be another stream's.
  function write({ statement, engine: compiled }: Prepared, args: Row): StmtResult {
    const { changes, lastInsertRowid } = attempt(statement.text, () => compiled.run(args))
    if (!isChange(statement) || changes === 0) return changed(statement, 0, 0)
    return changed(
      statement,
      changes,
      Number.isSafeInteger(lastInsertRowid) ? lastInsertRowid : readTally(tally)[1],
    )
  }

  function read(prepared: Prepared, args: Row, wantRows: boolean, budget: Budget): StmtResult {
    const { statement, engine: compiled, cols } = prepared
    const rows = attempt(statement.text, () => collect(compiled, args, wantRows, budget, limits))
    const [changes, rowid] = isChange(statement) ? readTally(tally) : [0, 0]
    return { ...changed(statement, changes, changes === 0 ? 0 : rowid), cols, rows }
  }

  return {
    run({ sql, args, wantRows, budget }) {
      leaveBehind()
      const prepared = prepare(sql)
      const bound = bindArgs(prepared.statement, args, limits.rowBytes)
      try {
        return prepared.reader ? read(prepared, bound, wantRows, budget) : write(prepared, bound)
      } catch (error) {
        // What is not kept is prepared anew when it is tried again.
        if (isBusy(error) && sql.length > CACHED_SQL_LENGTH) isStuck = true
        throw error
      } finally {
        note(prepared.statement)
      }
    },
    describe(sql) {
      const { statement, cols } = prepare(sql)
      return {
        params: statement.params.map(name => ({ name: name ?? null })),
        cols,
        is_explain: statement.kind === 'explain',
        is_readonly: ['read', 'explain', 'transaction'].includes(statement.kind),
      }
    },
    giveUp() {
      isStuck = true
      leaveBehind()
    },
    get inTransaction() {
      return engine.inTransaction
    },
    takeWrote() {
      const answer = wrote
      wrote = false
      return answer
    },
    reset() {
      if (engine.inTransaction) engine.exec('ROLLBACK')
      if (tainted) engine.exec(RESTORE_STATE)
      tainted = false
      if (schemaChanged) forgetSchema()
      leaveBehind()
    },
    close() {
      statements.clear()
      engine.close()
    },
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof SqlError && error.code === 'SQLITE_BUSY'
}

function attempt<T>(sql: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof SqlError ? error : fromEngine(error, sql)
  }
}

function prepareForRows(engine: Engine, sql: string): EngineStatement {
  const statement = engine.prepare(sql)
  if (statement.reader) statement.raw(true)
  statement.safeIntegers(true)
  return statement
}

function isChange({ kind }: Statement): boolean {
  return kind === 'insert' || kind === 'change'
}

function columnsOf(statement: EngineStatement): Column[] {
  return statement.columns().map(({ name, type }) => ({ name, decltype: type }))
}

function readTally(tally: EngineStatement): [changes: number, rowid: EngineValue] {
  const [changes = 0, rowid = 0n] = tally.get([]) ?? []
  return [Number(changes), rowid]
}
