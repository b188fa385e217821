import { Agent, type Dispatcher } from 'undici'
import * as v from 'valibot'
import { ErrorBody } from '../../protocol/error.ts'
import type { Heard } from '../fitness/edge.ts'
import type { Signer } from '../key/signer.ts'
import { version } from '../version.ts'
import { aheadMs, explainRefusal } from './clock.ts'
import { EdgeError } from './error.ts'
import { type Body, BrokenError, createPour } from './pour.ts'
import { retryOf } from './retry.ts'

export type EdgeRequest = {
  method: 'GET' | 'POST' | 'PUT'
  /** From the edge's address on, with its query. */
  path: string
  body?: string | Uint8Array
  signal?: AbortSignal | undefined
  /** How long the edge may hold the request before it answers. */
  waitMs?: number
}

/** A `PUT` whose body comes into being while it is sent. */
export type PourRequest = { path: string; body: Body; signal: AbortSignal }

export type Edge = {
  /**
   * Resolves on 2xx only; the caller consumes the body.
   * @throws EdgeError on any other answer, or none; the signal's reason when that aborted.
   */
  send(request: EdgeRequest): Promise<Dispatcher.ResponseData>
  /**
   * Resolves with the text of a 2xx answer, also when that comes before the body's end, which then is not waited for.
   * @throws as `send`, and whatever the body throws.
   */
  pour(request: PourRequest): Promise<string>
  /** When it, or whoever stands before it, was last heard; null: never. */
  heard(): Heard | null
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
const connectMs = 10_000

/** The edge over one pool of kept connections. */
export function createEdge({ url, id, signer, now = Date.now, answerMs = 20_000 }: EdgeOptions): Edge {
  const base = new URL(url)
  const prefix = base.pathname.replace(/\/+$/, '')
  const agent = new Agent({ allowH2: false, connectTimeout: connectMs })
  const live = createPour({ connectMs, answerMs })

  let roundTripMs = 0
  let heard: Heard | null = null

  async function identify() {
    return { authorization: `Bearer ${await signer.token()}`, 'user-agent': `infernet-runner/${version}` }
  }

  async function dispatch({
    method,
    path,
    body,
    signal,
    waitMs = 0,
  }: EdgeRequest): Promise<Dispatcher.ResponseData> {
    const headers = await identify()
    try {
      return await agent.request({
        origin: base.origin,
        path: prefix + path,
        method,
        headers: {
          ...headers,
          ...(body !== undefined && {
            'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream',
          }),
        },
        body: body ?? null,
        signal: signal ?? null,
        headersTimeout: waitMs + answerMs + Math.round((body?.length ?? 0) / leastBytesPerMs),
        bodyTimeout: answerMs,
      })
    } catch (cause) {
      if (signal?.aborted) throw signal.reason
      throw silence(`${method} ${plain(path)}`, cause)
    }
  }

  function silence(what: string, cause: unknown): EdgeError {
    return new EdgeError(`No answer from ${base.origin} to ${what}`, { status: null, retry: 'soon', cause })
  }

  function refusal(what: string, { status, date, text }: Refused): EdgeError {
    const refusal = refusalOf(text)
    if (status === 401) signer.renew()
    const said = refusal ? `${refusal.code}: ${refusal.error.slice(0, 500)}` : 'no reason given'
    const why = status === 401 ? explainRefusal({ date, now: now(), id }) : said
    return new EdgeError(`The edge answered ${status} to ${what}: ${why}`, {
      status,
      retry: retryOf(status, { ours: refusal !== null }),
    })
  }

  return {
    async send(request) {
      const askedAt = performance.now()
      const response = await dispatch(request)
      const date = dateOf(response)
      heard = { at: performance.now(), aheadMs: aheadMs({ date, now: now() }) }
      if (!request.waitMs) roundTripMs += 0.2 * (performance.now() - askedAt - roundTripMs)
      if (isOk(response.statusCode)) return response
      const { statusCode: status, body } = response
      const text = await body.text().catch(() => '')
      throw refusal(`${request.method} ${plain(request.path)}`, { status, date, text })
    },
    async pour({ path, body, signal }) {
      const headers = { ...(await identify()), 'content-type': 'application/octet-stream' }
      const url = new URL(prefix + path, base.origin)
      const poured = await live.put({ url, headers, body, signal }).catch((cause: unknown) => {
        throw cause instanceof BrokenError ? silence(`PUT ${plain(path)}`, cause) : cause
      })
      if (isOk(poured.status)) return poured.text
      throw refusal(`PUT ${plain(path)}`, poured)
    },
    heard: () => heard,
    roundTripMs: () => roundTripMs,
    close() {
      live.close()
      return agent.destroy()
    },
  }
}

type Refused = { status: number; date: string | undefined; text: string }

function dateOf({ headers: { date } }: Dispatcher.ResponseData): string | undefined {
  return Array.isArray(date) ? date[0] : date
}

function isOk(status: number): boolean {
  return status >= 200 && status < 300
}

/** A path without ids, so that repeated failures read the same. */
function plain(path: string): string {
  return path.replace(/\/jobs\/[^?]*/, '/jobs/...').replace(/\?.*/, '')
}

/** Null when these are not the edge's words. */
function refusalOf(text: string): ErrorBody | null {
  const parsed = v.safeParse(v.pipe(v.string(), v.maxLength(errorChars), v.parseJson(), ErrorBody), text)
  return parsed.success ? parsed.output : null
}
