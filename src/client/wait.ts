import type { Job, JobState } from '../protocol/job.ts'
import { InfernetError } from './error.ts'
import { getJob } from './read.ts'
import { isTransient } from './retry.ts'
import { sleep } from './sleep.ts'
import type { CallOptions, Transport } from './transport.ts'

export type WaitOptions = CallOptions & {
  /** How long to wait for the job to end. */
  timeoutMs?: number
}

const firstDelayMs = 50
const longestDelayMs = 5_000
const growth = 1.5

/**
 * Polls a job until it is in a final state, ever more slowly. A node that is away for a while is waited for too.
 * @returns the job, whichever way it ended.
 * @throws InfernetError `timeout` when it has not ended in time: it goes on, and can be waited for again; `not_found`.
 */
export async function waitForJob(
  transport: Transport,
  id: string,
  { timeoutMs = 10 * 60_000, signal }: WaitOptions = {},
): Promise<Job> {
  const late = AbortSignal.timeout(timeoutMs)
  try {
    return await poll(transport, id, signal ? AbortSignal.any([signal, late]) : late)
  } catch (cause) {
    if (cause !== late.reason) throw cause
    const options = { status: null, code: 'timeout', params: { id }, cause }
    throw new InfernetError(`The job has not ended within ${timeoutMs} ms`, options)
  }
}

async function poll(transport: Transport, id: string, signal: AbortSignal): Promise<Job> {
  let delayMs = firstDelayMs
  for (;;) {
    const job = await look(transport, id, signal)
    if (job && isFinal(job.state)) return job
    // Half of it at random, so that waiters that began together drift apart.
    await sleep(delayMs * (0.5 + 0.5 * Math.random()), signal)
    delayMs = Math.min(longestDelayMs, delayMs * growth)
  }
}

/** @returns null when the node cannot say at this moment. */
async function look(transport: Transport, id: string, signal: AbortSignal): Promise<Job | null> {
  return await getJob(transport, id, { signal }).catch((error: unknown) => {
    if (error instanceof InfernetError && isTransient(error)) return null
    throw error
  })
}

function isFinal(state: JobState): boolean {
  return state !== 'queued' && state !== 'running'
}
