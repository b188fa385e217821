import { Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'
import * as v from 'valibot'
import { ErrorBody } from '../../protocol/error.ts'
import type { Signer } from '../key/signer.ts'
import { version } from '../version.ts'
import { explainRefusal } from './clock.ts'
import { EdgeError } from './error.ts'
import { retryOf } from './retry.ts'

export type EdgeRequest = {
  method: 'GET' | 'POST' | 'PUT'
  /** From the edge's address on, with its query. */
  path: string
  /** A stream ends by itself; the edge may answer before that. */
  body?: string | Uint8Array | AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
  /** How long the edge may hold the request before it answers. */
  waitMs?: number
}

export type Edge = {
  /**
   * Resolves on 2xx only; the caller consumes the body.
   * @throws EdgeError on any other answer, or none; the signal's reason when that aborted.
   */
  send(request: EdgeRequest): Promise<Dispatcher.ResponseData>
  /** How long the edge takes to answer what it does not hold, lately. */
  roundTripMs(): number
  close(): Promise<void>
}

export type EdgeOptions = {
  url: string
  id: string
  signer: Signer
  now?: () => number
  /** How long the edge may take for an answer, beyond what the body needs. */
  answerMs?: number
}

/** 128 kbit/s. The time for an answer runs while the body is sent, so that a slow uplink needs more of it. */
const leastBytesPerMs = 16
const errorChars = 4096

/** The edge over one pool of kept connections. */
export function createEdge({ url, id, signer, now = Date.now, answerMs = 20_000 }: EdgeOptions): Edge {
  const base = new URL(url)
  const prefix = base.pathname.replace(/\/+$/, '')
  const agent = new Agent({ allowH2: false, connectTimeout: 10_000 })

  let roundTripMs = 0

  async function dispatch({
    method,
    path,
    body,
    signal,
    waitMs = 0,
  }: EdgeRequest): Promise<Dispatcher.ResponseData> {
    const authorization = `Bearer ${await signer.token()}`
    const sent = body === undefined || isWhole(body) ? null : watched(body, answerMs)
    try {
      return await agent.request({
        origin: base.origin,
        path: prefix + path,
        method,
        headers: {
          authorization,
          'user-agent': `infernet-runner/${version}`,
          ...(body !== undefined && {
            'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream',
          }),
        },
        body: sent?.body ?? (body as string | Uint8Array | undefined) ?? null,
        signal: sent && signal ? AbortSignal.any([signal, sent.late]) : (sent?.late ?? signal ?? null),
        headersTimeout: sent ? 0 : waitMs + answerMs + Math.round(bytesOf(body) / leastBytesPerMs),
        bodyTimeout: answerMs,
      })
    } catch (cause) {
      if (signal?.aborted) throw signal.reason
      throw new EdgeError(`No answer from ${base.origin} to ${method} ${plain(path)}`, {
        status: null,
        retry: 'soon',
        cause,
      })
    } finally {
      sent?.answered()
    }
  }

  async function refuse(request: EdgeRequest, response: Dispatcher.ResponseData): Promise<never> {
    const { statusCode: status, headers } = response
    const refusal = await refusalOf(response)
    if (status === 401) signer.renew()
    const date = Array.isArray(headers.date) ? headers.date[0] : headers.date
    const said = refusal ? `${refusal.code}: ${refusal.error.slice(0, 500)}` : 'no reason given'
    const why = status === 401 ? explainRefusal({ date, now: now(), id }) : said
    throw new EdgeError(`The edge answered ${status} to ${request.method} ${plain(request.path)}: ${why}`, {
      status,
      retry: retryOf(status, { ours: refusal !== null }),
    })
  }

  return {
    async send(request) {
      const askedAt = performance.now()
      const response = await dispatch(request)
      if (!request.waitMs) roundTripMs += 0.2 * (performance.now() - askedAt - roundTripMs)
      const ok = response.statusCode >= 200 && response.statusCode < 300
      return ok ? response : await refuse(request, response)
    },
    roundTripMs: () => roundTripMs,
    close: () => agent.destroy(),
  }
}

function isWhole(body: NonNullable<EdgeRequest['body']>): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array
}

function bytesOf(body: EdgeRequest['body']): number {
  return body !== undefined && isWhole(body) ? body.length : 0
}

/** A body that is sent as it comes, and what to do about an edge that does not answer when it has ended. */
function watched(pieces: AsyncIterable<Uint8Array>, answerMs: number) {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let isAnswered = false
  async function* untilAnswered(): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      // Whoever answers early wants no more.
      if (isAnswered) return
      yield piece
    }
    if (!isAnswered) timer = setTimeout(() => late.abort(new Error('No answer in time')), answerMs)
  }
  return {
    body: Readable.from(untilAnswered(), { objectMode: false, highWaterMark: 64 * 1024 }),
    late: late.signal,
    answered() {
      isAnswered = true
      clearTimeout(timer)
    },
  }
}

/** A path without ids, so that repeated failures read the same. */
function plain(path: string): string {
  return path.replace(/\/jobs\/[^?]*/, '/jobs/...').replace(/\?.*/, '')
}

/** Null when these are not the edge's words. */
async function refusalOf({ body }: Dispatcher.ResponseData): Promise<ErrorBody | null> {
  const text = await body.text().catch(() => '')
  const parsed = v.safeParse(v.pipe(v.string(), v.maxLength(errorChars), v.parseJson(), ErrorBody), text)
  return parsed.success ? parsed.output : null
}
