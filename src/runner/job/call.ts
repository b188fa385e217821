import type { Agent, Dispatcher } from 'undici'
import { createBackoff } from '../backoff.ts'
import type { Target } from '../containers.ts'
import { DiskError } from '../disk.ts'
import { EdgeError } from '../edge/error.ts'
import { type Caps, isFinal, paceOf } from '../edge/retry.ts'
import type { Rope } from '../rope.ts'
import { sleep } from '../sleep.ts'
import { connectionFailure } from './connection.ts'
import type { Failure } from './failure.ts'
import { InputError } from './input.ts'
import { type Reply, readExcerpt, readJson } from './reply.ts'
import type { Scratch } from './scratch.ts'
import { RedirectError, type Sent, send } from './send.ts'

export type CallOptions = {
  agent: Agent
  target: Target
  path: string
  body: Rope
  scratch: Scratch
  /** The job's own: a timeout aborts it, as a cancellation does. */
  controller: AbortController
  clock: Clock
}

/** Of a job's own time. */
export type Clock = {
  /** Runs from here on, unless it runs already. */
  run(): void
  /** Stands still, and then begins anew. */
  reset(): void
}

/** Inputs that break off half way. An edge that is away is asked until it is back. */
const brokenInputs = 4
const askAgainMs: Caps = { silent: 1_500, refused: 5_000 }
const jsonType = /^(application\/json|[^/;\s]+\/[^/;\s]+\+json)$/i

/**
 * Calls a container and judges its reply by the reference's rules (node page, 2.4). Every outcome is a value.
 * @throws DiskError: a reply too large for memory was lost on its way to the disk, or back.
 */
export async function call({ scratch, ...options }: CallOptions): Promise<Reply> {
  const asked = await askContainer(options, async sent => await judge(sent, options.target, scratch))
  return asked.ok ? asked.value : failed(asked.failure)
}

export type AskOptions = Omit<CallOptions, 'scratch'>

/**
 * Posts to a container, and hands its answer on; both within the container's time, unless `take` ends that. What keeps an answer from
 * coming is a value.
 * @throws DiskError, and what `take` throws with it.
 */
export async function askContainer<Value>(
  { agent, target, path, body, controller, clock }: AskOptions,
  take: (sent: Sent, stopTimer: () => void) => Promise<Value>,
): Promise<{ ok: true; value: Value } | { ok: false; failure: Failure }> {
  const { signal } = controller
  const { timeoutMs, bearer } = target.config
  const url = new URL(`${target.baseUrl}${path}`)
  const backoff = createBackoff()
  for (let broken = 0; ; ) {
    // Anew for each try, as the job's own time is: neither is to blame for an edge that was away. Nothing has been computed, since
    // only the first container of a chain reads an input.
    clock.run()
    const timer = setTimeout(() => controller.abort('timeout'), timeoutMs)
    try {
      const sent = await send({ agent, url, bearer, body, signal })
      return { ok: true, value: await take(sent, () => clearTimeout(timer)) }
    } catch (error) {
      clearTimeout(timer)
      if (signal.aborted) return { ok: false, failure: stopped(String(signal.reason), target) }
      if (error instanceof DiskError) throw error
      if (!(error instanceof InputError)) return { ok: false, failure: refusedOrLost(url, error) }
      if (!(error.cause instanceof EdgeError)) broken += 1
      if (broken === brokenInputs || isFinal(error.cause)) return { ok: false, failure: noInput(error) }
      clock.reset()
      await sleep(paceOf(error.cause, backoff, askAgainMs), signal)
    } finally {
      clearTimeout(timer)
    }
  }
}

async function judge({ url, response }: Sent, target: Target, scratch: Scratch): Promise<Reply> {
  const { statusCode, headers, body } = response
  if (statusCode >= 400 && target.config.httpErrors === 'failure')
    return failed(await httpError(url, response))
  const type = headerOf(headers, 'content-type')
  if (!jsonType.test(type.split(';')[0]?.trim() ?? '')) {
    await body.dump()
    const message = `Attempt to decode JSON with unexpected mimetype: ${type}`
    const error = `0, message='${message}', url=URL('${url.href}')`
    return failed({ code: 'invalid_output', error, detail: 'the reply is not declared as JSON' })
  }
  return await readJson(body, Number(headerOf(headers, 'content-length') || Number.NaN), scratch)
}

export async function httpError(
  url: URL,
  { statusCode, statusText, body }: Dispatcher.ResponseData,
): Promise<Failure> {
  const said = await readExcerpt(body)
  const error = `${statusCode}, message='${statusText}', url=URL('${url.href}')${said && `\n${said}`}`
  return { code: 'http_error', error, detail: `status ${statusCode}` }
}

function headerOf(headers: Dispatcher.ResponseData['headers'], name: string): string {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

function failed(failure: Failure): Reply {
  return { ok: false, failure }
}

export function stopped(reason: string, { config }: Target): Failure {
  if (reason === 'deadline') {
    const error = 'The job did not end within the timeout that it came with'
    return { code: 'timeout', error, detail: error }
  }
  if (reason === 'idle') {
    const error = `Container ${config.id} sent nothing for too long`
    return { code: 'idle', error, detail: error }
  }
  if (reason !== 'timeout') return { code: 'cancelled', error: 'The job was cancelled', detail: reason }
  const error = `Container ${config.id} did not answer within ${config.timeoutMs / 1000} s`
  return { code: 'timeout', error, detail: error }
}

function refusedOrLost(url: URL, error: unknown): Failure {
  if (!(error instanceof RedirectError)) return connectionFailure(url, error)
  return { code: 'redirect_refused', error: error.message, detail: error.message }
}

function noInput(error: InputError): Failure {
  return { code: 'input_unavailable', error: error.message, detail: error.message }
}
