import { SqlError } from './error.ts'
import type { Stmt } from './schema.ts'
import type { Statement } from './sql.ts'
import { decodeValue, type EngineValue, sizeOf } from './value.ts'

export type Args = Pick<Stmt, 'args' | 'named_args'>

/** The arguments in the order of the statement's parameters, by sqld's rules: each parameter needs a value. */
export function bindArgs(statement: Statement, { args, named_args }: Args, rowBytes: number): EngineValue[] {
  const hasNamed = named_args != null && named_args.length > 0
  if (hasNamed && args != null && args.length > 0) {
    const text = 'Specifying both positional and named arguments is not supported'
    throw new SqlError('ARGS_BOTH_POSITIONAL_AND_NAMED', text)
  }
  const values = hasNamed ? bindNamed(statement, named_args) : bindPositional(statement, args ?? [])
  refuseBigRow(values, rowBytes, statement.tuples)
  return values
}

function bindPositional({ params }: Statement, args: NonNullable<Stmt['args']>): EngineValue[] {
  if (args.length > params.length) {
    throw invalid(`too many parameters, expected ${params.length} found ${args.length}`)
  }
  if (args.length < params.length) throw invalid(`value for parameter ${args.length + 1} not found`)
  return args.map(decodeValue)
}

function bindNamed({ params }: Statement, named: NonNullable<Stmt['named_args']>): EngineValue[] {
  const values = new Map(named.map(({ name, value }) => [name, value]))
  if (values.size > params.length) {
    throw invalid(`too many parameters, expected ${params.length} found ${values.size}`)
  }
  return params.map((param, index) => {
    // Clients may give a name with its prefix or without.
    const value = param === undefined ? undefined : (values.get(param) ?? values.get(param.slice(1)))
    if (value === undefined) throw invalid(`value for parameter ${param ?? index + 1} not found`)
    return decodeValue(value)
  })
}

function refuseBigRow(values: EngineValue[], rowBytes: number, tuples: number): void {
  let total = 0
  for (const value of values) total += sizeOf(value)
  if (total > rowBytes * tuples) throw new SqlError('SQLITE_TOOBIG', 'SQLite error: string or blob too big')
}

function invalid(reason: string): SqlError {
  return new SqlError('ARGS_INVALID', `Arguments do not match SQL parameters: ${reason}`)
}
