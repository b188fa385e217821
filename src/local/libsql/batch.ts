import { ProtocolError, SqlError, type WireError, wireError } from './error.ts'
import { execute } from './execute.ts'
import type { StmtResult } from './result.ts'
import type { Batch, Condition } from './schema.ts'
import { requireVersion3, type Scope, sqlOf, type Work } from './stream.ts'

/** Per step: its result, or its error, or two nulls where its condition did not hold. */
export type BatchResult = {
  step_results: (StmtResult | null)[]
  step_errors: (WireError | null)[]
  replication_index: null
}

export function* runBatch(scope: Scope, { steps }: Batch): Work<BatchResult> {
  // A batch with a fault in its form is refused before its first step runs.
  steps.forEach(({ condition, stmt }, index) => {
    sqlOf(scope.stream, stmt)
    if (condition != null) checkCondition(scope, condition, index)
  })
  const result: BatchResult = { step_results: [], step_errors: [], replication_index: null }
  for (const { condition, stmt } of steps) {
    const outcome = condition == null || holds(scope, condition, result) ? yield* runStep(scope, stmt) : null
    const failed = outcome instanceof SqlError
    result.step_results.push(failed ? null : outcome)
    result.step_errors.push(failed ? wireError(outcome) : null)
  }
  return result
}

function* runStep(scope: Scope, stmt: Batch['steps'][number]['stmt']): Work<StmtResult | SqlError> {
  try {
    return yield* execute(scope, stmt)
  } catch (error) {
    // A response that is too large fails the batch, as in sqld; the client learns of no step.
    if (!(error instanceof SqlError) || error.code === 'RESPONSE_TOO_LARGE') throw error
    return error
  }
}

function checkCondition(scope: Scope, condition: Condition, stepCount: number): void {
  switch (condition.type) {
    case 'ok':
    case 'error':
      if (condition.step >= stepCount)
        throw new ProtocolError('Invalid reference to step in a batch condition')
      return
    case 'not':
      checkCondition(scope, condition.cond, stepCount)
      return
    case 'and':
    case 'or':
      for (const part of condition.conds) checkCondition(scope, part, stepCount)
      return
    case 'is_autocommit':
      requireVersion3(scope, 'BatchCond of type `is_autocommit`')
  }
}

function holds(scope: Scope, condition: Condition, sofar: BatchResult): boolean {
  switch (condition.type) {
    case 'ok':
      return sofar.step_results[condition.step] != null
    case 'error':
      return sofar.step_errors[condition.step] != null
    case 'not':
      return !holds(scope, condition.cond, sofar)
    case 'and':
      return condition.conds.every(part => holds(scope, part, sofar))
    case 'or':
      return condition.conds.some(part => holds(scope, part, sofar))
    case 'is_autocommit':
      return !scope.stream.connection.inTransaction
  }
}
