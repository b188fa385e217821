import { ReportAnswer } from '../../protocol/runner.ts'
import { ask } from './ask.ts'
import type { Edge } from './connect.ts'

/**
 * Reports results. Each is given as the JSON text of a `ReportedResult`: it was made once, for the spool, and goes out as the
 * same bytes.
 */
export function report(
  edge: Edge,
  { instance, results }: { instance: string; results: readonly string[] },
  signal?: AbortSignal,
): Promise<ReportAnswer> {
  const body = `{"instance":${JSON.stringify(instance)},"results":[${results.join(',')}]}`
  return ask(edge, { path: '/runner/report', answer: ReportAnswer }, { body, signal })
}
