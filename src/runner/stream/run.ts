import { limits } from '../../protocol/limits.ts'
import type { ClaimedJob } from '../../protocol/runner.ts'
import type { Target } from '../containers.ts'
import { askContainer, httpError, stopped } from '../job/call.ts'
import { connectionFailure } from '../job/connection.ts'
import { requestOf } from '../job/envelope.ts'
import type { Failure } from '../job/failure.ts'
import { discard } from '../job/reply.ts'
import { absent, inputOf, type RunOptions, unreachable } from '../job/run.ts'
import type { Sent } from '../job/send.ts'
import type { Tape } from './tape.ts'
import { createUtf8 } from './utf8.ts'

export type StreamRunOptions = Omit<RunOptions, 'scratch'> & {
  /** Begins the tape, and its upload: the container is about to be called. @throws DiskError */
  begin: () => Promise<Tape>
  idleMs?: number
}

/** What a stream came to: its output is on the tape, as far as it came. */
export type StreamOutcome = {
  failure: (Failure & { container: string }) | null
  bytes: number
  utf8: boolean
}

type Read = { failure: Failure | null; bytes: number; utf8: boolean }
const nothing = { bytes: 0, utf8: true } as const

/**
 * Calls a streaming job's container, of a chain the first, and puts what it sends on a tape. Once a byte has come it is not called again.
 * @throws DiskError before that, after which the job may begin anew.
 */
export async function runStream(options: StreamRunOptions): Promise<StreamOutcome> {
  const { job, containers, slots, controller } = options
  const [container = ''] = job.containers
  const failedWith = (failure: Failure) => ({ failure: { ...failure, container }, ...nothing })
  const target = containers.get(container)
  if (target?.health !== 'ready') return failedWith(absent(container, target).failure)
  const turn = slots.enter(container, controller.signal)
  const entered = typeof turn === 'boolean' ? turn : await turn
  if (!entered) return failedWith(stopped(String(controller.signal.reason), target))
  try {
    options.onStart()
    const { failure, ...read } = await timed(job, controller, () => readContainer(options, target))
    if (failure && unreachable.has(failure.code)) options.onUnreachable(target, failure.detail)
    return { failure: failure && { ...failure, container }, ...read }
  } finally {
    slots.leave(container)
  }
}

/** The job's own time, from its call on. */
async function timed<Value>(
  { timeout_ms: ms }: ClaimedJob,
  controller: AbortController,
  work: () => Promise<Value>,
): Promise<Value> {
  const timer = ms === null ? undefined : setTimeout(() => controller.abort('deadline'), ms)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
  }
}

async function readContainer(options: StreamRunOptions, target: Target): Promise<Read> {
  const { job, agent, controller } = options
  const request = requestOf(job, { index: 0, count: 1 }, inputOf(options))
  const clock = { run() {}, reset() {} }
  const tape = await options.begin()
  const asked = await askContainer(
    { agent, target, ...request, controller, clock },
    async (sent, stopTimer) => {
      const { statusCode } = sent.response
      if (statusCode >= 400 && target.config.httpErrors === 'failure')
        return { failure: await httpError(sent.url, sent.response), ...nothing }
      return await readBody(sent, { ...options, tape, target, stopTimer })
    },
  )
  return asked.ok ? asked.value : { failure: asked.failure, ...nothing }
}

type Reading = StreamRunOptions & { tape: Tape; target: Target; stopTimer: () => void }

async function readBody({ url, response: { body } }: Sent, reading: Reading): Promise<Read> {
  const { tape, target, controller, stopTimer, idleMs = limits.streamIdleMs } = reading
  const { signal } = controller
  const utf8 = createUtf8()
  const chunks = body[Symbol.asyncIterator]()
  const done = (failure: Failure | null) => ({ failure, bytes: tape.end(), utf8: utf8.end() })
  let timer: NodeJS.Timeout | undefined
  try {
    for (;;) {
      const chunk = await chunks.next()
      clearTimeout(timer)
      if (chunk.done) return done(null)
      stopTimer()
      const bytes = chunk.value as Buffer
      utf8.push(bytes)
      await tape.append(bytes, signal)
      if (signal.aborted) break
      // Not while the upload holds us back.
      timer = setTimeout(() => controller.abort('idle'), idleMs)
    }
  } catch (error) {
    if (tape.end() === 0) throw error
    if (!signal.aborted) return done(broken(url, error))
  } finally {
    clearTimeout(timer)
    discard(body)
  }
  return done(stopped(String(signal.reason), target))
}

function broken(url: URL, error: unknown): Failure {
  const isDisk = error instanceof Error && error.name === 'DiskError'
  return isDisk
    ? { code: 'internal', error: "The runner's disk failed", detail: 'the disk failed' }
    : connectionFailure(url, error)
}
