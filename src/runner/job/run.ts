import type { Agent } from 'undici'
import type { ClaimedJob } from '../../protocol/runner.ts'
import type { Containers, Target } from '../containers.ts'
import type { Edge } from '../edge/connect.ts'
import { bytesOf, type Rope } from '../rope.ts'
import type { Slots } from '../slots.ts'
import { type Clock, call, stopped } from './call.ts'
import { errorResult, intermediateResults, outputResult, requestOf } from './envelope.ts'
import type { Failure, FailureCode } from './failure.ts'
import { remoteInput } from './input.ts'
import type { Reply } from './reply.ts'
import type { Scratch } from './scratch.ts'

export type RunOptions = {
  job: ClaimedJob
  containers: Containers
  slots: Slots
  agent: Agent
  edge: Edge
  scratch: Scratch
  controller: AbortController
  /** The first container is about to be called. */
  onStart: () => void
  /** Nobody listens there, or its host is not reached. */
  onUnreachable: (target: Target, detail: string) => void
}

/** What a job came to. `result` is the last container's, `intermediate` those before it (reference node 2.3). */
export type Outcome = {
  failure: (Failure & { container: string }) | null
  result: Rope
  intermediate: Rope | null
}

export const unreachable: ReadonlySet<FailureCode> = new Set(['connection_refused', 'connection_failed'])

/**
 * Calls a job's containers one after another, each with the reply of the one before, until one fails. The job's own time runs from its
 * first call on, however long it waited for a slot.
 * @throws DiskError, after which the job may begin anew.
 */
export async function runJob(options: RunOptions): Promise<Outcome> {
  const { job, controller } = options
  let timer: NodeJS.Timeout | undefined
  const clock: Clock = {
    run() {
      if (job.timeout_ms !== null) timer ??= setTimeout(() => controller.abort('deadline'), job.timeout_ms)
    },
    reset() {
      clearTimeout(timer)
      timer = undefined
    },
  }
  try {
    return await runChain({ ...options, clock })
  } finally {
    clock.reset()
  }
}

type ChainOptions = RunOptions & { clock: Clock }

async function runChain(options: ChainOptions): Promise<Outcome> {
  const { job, containers, scratch } = options
  const count = job.containers.length
  const results: Rope[] = []
  let data = inputOf(options)
  let intermediateBytes = 0

  for (const [index, container] of job.containers.entries()) {
    const target = containers.get(container)
    const reply =
      target?.health === 'ready'
        ? await step(options, target, requestOf(job, { index, count }, data))
        : absent(container, target)
    if (!reply.ok) return failedAt(container, reply.failure, results)
    data = reply.text
    results.push(outputResult(container, data))
    if (index === count - 1) break
    intermediateBytes += bytesOf(data)
    if (intermediateBytes > scratch.maxBytes)
      return failedAt(container, intermediateTooLarge(scratch), results.slice(0, -1))
  }
  const last = results.pop() ?? []
  return { failure: null, result: last, intermediate: intermediateResults(results) }
}

async function step(
  { slots, agent, scratch, controller, clock, onStart, onUnreachable }: ChainOptions,
  target: Target,
  request: { path: string; body: Rope },
): Promise<Reply> {
  const { id } = target.config
  const { signal } = controller
  const turn = slots.enter(id, signal)
  // Awaited only when it is a promise, so that a job starts within the call that claimed it.
  const entered = typeof turn === 'boolean' ? turn : await turn
  if (!entered) return { ok: false, failure: stopped(String(signal.reason), target) }
  try {
    onStart()
    const reply = await call({ agent, target, ...request, scratch, controller, clock })
    if (!reply.ok && unreachable.has(reply.failure.code)) onUnreachable(target, reply.failure.detail)
    return reply
  } finally {
    slots.leave(id)
  }
}

/** Inline, or read from the edge while the container is called. */
export function inputOf({ job, edge }: Pick<RunOptions, 'job' | 'edge'>): Rope {
  return [job.data ?? remoteInput(edge, job)]
}

export function absent(container: string, target: Target | undefined): { ok: false; failure: Failure } {
  const what = target === undefined ? 'is not configured' : `is not ready (${target.health})`
  const error = `Container ${container} ${what} on this runner`
  return { ok: false, failure: { code: 'container_unavailable', error, detail: error } }
}

function intermediateTooLarge({ maxBytes }: Scratch): Failure {
  const error = `The intermediate results are larger than ${maxBytes} bytes together`
  return { code: 'output_too_large', error, detail: error }
}

function failedAt(container: string, failure: Failure, before: readonly Rope[]): Outcome {
  return {
    failure: { ...failure, container },
    result: errorResult(container, failure),
    intermediate: intermediateResults(before),
  }
}
