import type { Agent } from 'undici'
import type { Images } from '../../protocol/container.ts'
import type { ClaimedJob } from '../../protocol/runner.ts'
import { judgePrediction } from '../cog/judge.ts'
import { predictionOf } from '../cog/request.ts'
import type { Edge } from '../edge/connect.ts'
import { bytesOf, type Rope } from '../rope.ts'
import type { Streamed } from '../stream/record.ts'
import { call } from './call.ts'
import { type Clock, createClock } from './clock.ts'
import { errorResult, intermediateResults, outputResult, requestOf } from './envelope.ts'
import type { Failure } from './failure.ts'
import { inputOf } from './input.ts'
import { judge } from './judge.ts'
import type { Scratch } from './scratch.ts'
import { inTurn, type TurnOptions } from './turn.ts'

export type RunOptions = TurnOptions & {
  job: ClaimedJob
  agent: Agent
  edge: Edge
  scratch: Scratch
}

/**
 * What a job came to. `result` is the last container's, `intermediate` those before it (reference node 2.3); `stream` what a streaming
 * job has put out, null for any other.
 */
export type Outcome = {
  failure: (Failure & { container: string }) | null
  result: Rope
  intermediate: Rope | null
  stream: Streamed | null
  /** Of the containers that were called and are started here, by container. */
  images: Images
}

/**
 * Calls a job's containers one after another, each with the reply of the one before, until one fails. The job's own time runs from its
 * first call on, however long it waited for a slot.
 * @throws DiskError, after which the job may begin anew.
 */
export async function runJob(options: RunOptions): Promise<Outcome> {
  const clock = createClock(options.job, options.controller)
  const images: Images = {}
  try {
    return { ...(await runChain({ ...options, clock, images })), images }
  } finally {
    clock.reset()
  }
}

type ChainOptions = RunOptions & { clock: Clock; images: Images }

async function runChain(options: ChainOptions): Promise<Omit<Outcome, 'images'>> {
  const { job, agent, scratch, controller, clock, images } = options
  const count = job.containers.length
  const results: Rope[] = []
  let data = inputOf(options)
  let intermediateBytes = 0

  for (const [index, container] of job.containers.entries()) {
    const reply = await inTurn(options, container, target => {
      if (target.image !== undefined) images[container] = target.image
      const isCog = target.config.api === 'cog'
      const request = isCog ? predictionOf(job, index, data) : requestOf(job, { index, count }, data)
      const judged = isCog ? judgePrediction : judge
      return call({ agent, target, request, controller, clock }, sent => judged(sent, target, scratch))
    })
    if (!reply.ok) return failedAt(container, reply.failure, results)
    data = reply.text
    results.push(outputResult(container, data))
    if (index === count - 1) break
    intermediateBytes += bytesOf(data)
    if (intermediateBytes > scratch.maxBytes)
      return failedAt(container, intermediateTooLarge(scratch), results.slice(0, -1))
  }
  const last = results.pop() ?? []
  return { failure: null, result: last, intermediate: intermediateResults(results), stream: null }
}

function intermediateTooLarge({ maxBytes }: Scratch): Failure {
  const error = `The intermediate results are larger than ${maxBytes} bytes together`
  return { code: 'output_too_large', error, detail: error }
}

function failedAt(container: string, failure: Failure, before: readonly Rope[]): Omit<Outcome, 'images'> {
  return {
    failure: { ...failure, container },
    result: errorResult(container, failure),
    intermediate: intermediateResults(before),
    stream: null,
  }
}
