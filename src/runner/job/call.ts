import type { Agent } from 'undici'
import { createBackoff } from '../backoff.ts'
import { cancelPrediction } from '../cog/cancel.ts'
import type { Target } from '../containers.ts'
import { DiskError } from '../disk.ts'
import { EdgeError } from '../edge/error.ts'
import { type Caps, isFinal, paceOf } from '../edge/retry.ts'
import { sleep } from '../sleep.ts'
import type { Clock } from './clock.ts'
import { connectionFailure, withoutAddress } from './connection.ts'
import type { ContainerRequest } from './envelope.ts'
import { type Failed, type Failure, failed } from './failure.ts'
import { InputError } from './input.ts'
import { RedirectError, type Sent, sendWished } from './send.ts'

export type CallOptions = {
  agent: Agent
  target: Target
  request: ContainerRequest
  /** The job's own: a timeout aborts it, as a cancellation does. */
  controller: AbortController
  clock: Clock
}

/** Reads a reply. The container's time runs until this has ended, or has said that the container answers. */
export type Judge<T> = (sent: Sent, answers: () => void) => Promise<T | Failed>

/** Inputs that break off half way. An edge that is away is asked until it is back. */
const brokenInputs = 4
const askAgainMs: Caps = { silent: 1_500, refused: 5_000 }

/**
 * Calls a container and has its reply judged. Every outcome is a value.
 * @throws DiskError: a reply too large for memory was lost on its way to the disk, or back.
 */
export async function call<T extends { ok: true }>(
  { agent, target, request, controller, clock }: CallOptions,
  judge: Judge<T>,
): Promise<T | Failed> {
  const { signal } = controller
  const { timeoutMs, bearer } = target.config
  const url = new URL(`${target.baseUrl}${request.path}`)
  const backoff = createBackoff()
  for (let broken = 0; ; ) {
    // Anew for each try, as the job's own time is: neither is to blame for an edge that was away. Nothing has been computed, since
    // only the first container of a chain reads an input.
    clock.run()
    const timer = setTimeout(() => controller.abort('timeout'), timeoutMs)
    try {
      const { body, accept } = request
      return await judge(await sendWished({ agent, url, bearer, body, accept, signal }), () =>
        clearTimeout(timer),
      )
    } catch (error) {
      clearTimeout(timer)
      if (signal.aborted) return failed(stopped(String(signal.reason), target))
      if (error instanceof DiskError) throw error
      if (!(error instanceof InputError)) return failed(refusedOrLost({ url, target }, error))
      if (!(error.cause instanceof EdgeError)) broken += 1
      if (broken === brokenInputs || isFinal(error.cause)) return failed(noInput(error))
      clock.reset()
      await sleep(paceOf(error.cause, backoff, askAgainMs), signal)
    } finally {
      clearTimeout(timer)
      cancelAborted({ agent, target, request, signal })
    }
  }
}

type Called = Pick<CallOptions, 'agent' | 'target' | 'request'> & { signal: AbortSignal }

/** A closed connection ends the work of most containers; of some it does not. */
function cancelAborted({ agent, target, request, signal }: Called): void {
  if (!signal.aborted || request.cancelPath === undefined) return
  const url = new URL(`${target.baseUrl}${request.cancelPath}`)
  void cancelPrediction(agent, { url, bearer: target.config.bearer })
}

/** What a job that was stopped before its container was done reports. `reason`: a `StopReason`. */
export function stopped(reason: string, { config }: Target): Failure {
  if (reason === 'deadline') {
    const error = 'The job did not end within the timeout that it came with'
    return { code: 'timeout', error, detail: error }
  }
  if (reason !== 'timeout') return { code: 'cancelled', error: 'The job was cancelled', detail: reason }
  const error = `Container ${config.id} did not answer within ${config.timeoutMs / 1000} s`
  return { code: 'timeout', error, detail: error }
}

/** What the error of a request to a container says of it. Where one is that runs elsewhere is its operator's to know. */
export function refusedOrLost({ url, target }: { url: URL; target: Target }, error: unknown): Failure {
  if (error instanceof RedirectError)
    return { code: 'redirect_refused', error: leavesOrigin, detail: error.message }
  const failure = connectionFailure(url, error)
  const { id, url: elsewhere } = target.config
  return elsewhere === '' ? failure : withoutAddress(failure, id)
}

const leavesOrigin = 'The container redirects to another origin; redirects are followed within its own alone'

export function noInput(error: InputError): Failure {
  return { code: 'input_unavailable', error: error.message, detail: error.message }
}
