import { destination, source } from '../../protocol/job.ts'
import type { ClaimedJob } from '../../protocol/runner.ts'
import type { Rope } from '../rope.ts'

export type Position = { index: number; count: number }

/** What a container is posted, and at which path of its own. */
export type ContainerRequest = {
  path: string
  body: Rope
  /** The type of reply that is wished for; absent: any. */
  accept?: string
  /** Posted to when the job ends before its reply; absent: there is no such thing. */
  cancelPath?: string
}

/** `openai`: the input is the request, in a protocol that is not ours. Such a job names one container. */
export function requestOf(job: ClaimedJob, position: Position, data: Rope): ContainerRequest {
  if (job.endpoint === 'openai') return { path: '/v1/chat/completions', body: data }
  return { path: '/service_output', body: requestBody(job, position, data) }
}

/**
 * The body of `POST /service_output` (reference node 2.2 and 2.3), in the reference's key order and spacing. `data` goes in as
 * the text it is: parsing it would change large integers, floats, and duplicate keys.
 */
function requestBody(job: ClaimedJob, { index, count }: Position, data: Rope): Rope {
  const from = index === 0 ? job.source : source.offchain
  const to = index === count - 1 ? job.destination : destination.offchain
  const proof = job.destination === destination.stream ? '' : `, "requires_proof": ${job.requires_proof}`
  const [before, after] = [`{"source": ${from}, "destination": ${to}, "data": `, `${proof}}`]
  return [before, ...data, after]
}

/** One container's result, its output spliced in. */
export function outputResult(container: string, output: Rope): Rope {
  return [`{"container":${JSON.stringify(container)},"output":`, ...output, '}']
}

/** Of a streaming job: its output has gone another way. */
export function streamResult(container: string): Rope {
  return [`{"container":${JSON.stringify(container)}}`]
}

export function errorResult(container: string, { error, code }: { error: string; code: string }): Rope {
  return [`{"container":${JSON.stringify(container)},"error":${JSON.stringify(error)},"code":"${code}"}`]
}

/** The results before the last, as one JSON array; null when there are none. */
export function intermediateResults(results: readonly Rope[]): Rope | null {
  if (results.length === 0) return null
  const listed = results.flatMap((result, index) => (index === 0 ? result : [',', ...result]))
  return ['[', ...listed, ']']
}
