import type { Job, JobState } from '../protocol/job.ts'
import { limits } from '../protocol/limits.ts'
import type { NewJob } from './body.ts'
import { type CreateJobOptions, createAndWait } from './create.ts'
import { InfernetError } from './error.ts'
import { getJob } from './read.ts'
import { isTransient } from './retry.ts'
import { sleep } from './sleep.ts'
import type { CallOptions, Transport } from './transport.ts'

export type WaitOptions = CallOptions & {
  /** How long to wait for the job to end. */
  timeoutMs?: number
}

const defaultTimeoutMs = 10 * 60_000
/** How much later than it was asked to a node may answer. */
const answerMs = 5_000
/** Longest that a node waits in one request. */
const longestWaitMs = limits.waitSeconds * 1000
/** Between two looks at a node that does not wait, or is away. */
const firstDelayMs = 50
const longestDelayMs = 5_000
const growth = 1.5

/**
 * Waits until a job is in a final state, in requests that the node answers at that moment. A node that answers at once all the same, as
 * the reference's, is polled, ever more slowly; one that is away for a while is waited for too. Aborting `signal` ends the wait, not
 * the job.
 * @returns the job, whichever way it ended.
 * @throws InfernetError `timeout` when it has not ended in time: it goes on, and can be waited for again; `not_found`.
 */
export async function waitForJob(
  transport: Transport,
  id: string,
  { timeoutMs = defaultTimeoutMs, signal }: WaitOptions = {},
): Promise<Job> {
  return await waitUntil(transport, id, { timeoutMs, deadline: performance.now() + timeoutMs, signal })
}

type Until = CallOptions & { timeoutMs: number; deadline: number }

/** `timeoutMs`: what was asked for, some of which may have passed already. */
async function waitUntil(
  transport: Transport,
  id: string,
  { timeoutMs, deadline, signal }: Until,
): Promise<Job> {
  return await bounded(late => follow(transport, { id, deadline, signal: late }), {
    leftMs: deadline - performance.now(),
    signal,
    tooLate: `The job has not ended within ${timeoutMs} ms`,
    params: { id },
  })
}

type Bound = CallOptions & { leftMs: number; tooLate: string; params: Record<string, unknown> }

/** @throws InfernetError `timeout` when it takes longer. */
async function bounded<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  { leftMs, signal, tooLate, params }: Bound,
): Promise<Result> {
  const late = AbortSignal.timeout(Math.max(1, Math.ceil(leftMs)))
  try {
    return await work(signal ? AbortSignal.any([signal, late]) : late)
  } catch (cause) {
    if (cause !== late.reason) throw cause
    throw new InfernetError(tooLate, { status: null, code: 'timeout', params, cause })
  }
}

/**
 * Creates a job and waits until it is in a final state: in one request, if that takes less than 25 s.
 * @throws InfernetError what `createJob` and `waitForJob` throw. `timeout` without an `id` among its params: the node has not answered
 * in time, nor 5 s later; the job may have been created, and the same call with the same `id` or `idempotencyKey` finds it.
 */
export async function runJob(
  transport: Transport,
  job: NewJob,
  { timeoutMs = defaultTimeoutMs, ...options }: CreateJobOptions & WaitOptions = {},
): Promise<Job> {
  const deadline = performance.now() + timeoutMs
  const waitMs = Math.min(longestWaitMs, timeoutMs)
  const created = await bounded(signal => createAndWait(transport, job, { ...options, signal, waitMs }), {
    leftMs: timeoutMs + answerMs,
    signal: options.signal,
    tooLate: `The node has not answered within ${timeoutMs} ms: the job may have been created`,
    params: options.id === undefined ? {} : { id: options.id },
  })
  if (created.job && isFinal(created.job.state)) return created.job
  return await waitUntil(transport, created.id, { timeoutMs, deadline, signal: options.signal })
}

type Follow = { id: string; deadline: number; signal: AbortSignal }

async function follow(transport: Transport, { id, deadline, signal }: Follow): Promise<Job> {
  let delayMs = firstDelayMs
  for (;;) {
    const askedAt = performance.now()
    const waitMs = Math.min(longestWaitMs, Math.max(1, Math.floor(deadline - askedAt)))
    const job = await look(transport, id, { waitMs, signal })
    if (job && isFinal(job.state)) return job
    if (performance.now() - askedAt >= waitMs) delayMs = firstDelayMs
    else {
      // Half of it at random, so that waiters that began together drift apart.
      await sleep(delayMs * (0.5 + 0.5 * Math.random()), signal)
      delayMs = Math.min(longestDelayMs, delayMs * growth)
    }
  }
}

/** @returns null when the node cannot say at this moment. */
async function look(
  transport: Transport,
  id: string,
  options: { waitMs: number; signal: AbortSignal },
): Promise<Job | null> {
  return await getJob(transport, id, options).catch((error: unknown) => {
    if (error instanceof InfernetError && isTransient(error)) return null
    throw error
  })
}

function isFinal(state: JobState): boolean {
  return state !== 'queued' && state !== 'running'
}
