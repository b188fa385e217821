import { InfernetError } from './error.ts'
import { toRefusal } from './refusal.ts'
import { retryDelayMs } from './retry.ts'
import { sleep } from './sleep.ts'

export type TransportOptions = {
  /** Where the node answers; a path is kept as a prefix. */
  url: string | URL
  /** Replaces the platform's `fetch`. */
  fetch?: typeof globalThis.fetch
  /** Sent with every request. */
  headers?: Headers | Record<string, string>
  /** How long one attempt may take, its answer's body included. */
  timeoutMs?: number
  /** How often a request is sent again; `retry.ts` says after what. */
  retries?: number
}

/** What every call takes. */
export type CallOptions = { signal?: AbortSignal | undefined }

export type Request = CallOptions & {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  query?: URLSearchParams
  headers?: Record<string, string>
  /** How long the node is asked to wait before it answers: so much longer one attempt may take. */
  waitMs?: number
  /** JSON. */
  body?: Uint8Array<ArrayBuffer>
  /** Whether carrying it out twice does what doing so once does. */
  repeatable: boolean
  /** A status outside 2xx that is an answer here. */
  accepts?: number
}

export type Answer = { request: Request; status: number; headers: Headers; bytes: Uint8Array<ArrayBuffer> }

export type Transport = {
  /** @throws InfernetError; the reason of `signal` when that aborted. */
  send(request: Request): Promise<Answer>
  /**
   * Sends once, and hands on the answer as soon as its head is there: the caller reads the body, and bounds how long that takes.
   * @throws InfernetError; the reason of `signal` when that aborted.
   */
  open(request: Request): Promise<Response>
}

export function createTransport({
  url,
  fetch = globalThis.fetch,
  headers,
  timeoutMs = 60_000,
  retries = 3,
}: TransportOptions): Transport {
  const base = toBase(url)

  async function once(request: Request): Promise<Answer> {
    const patienceMs = timeoutMs + (request.waitMs ?? 0)
    const timeout = AbortSignal.timeout(patienceMs)
    const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout
    try {
      const response = await exchange(request, signal)
      const { status, headers } = response
      return { request, status, headers, bytes: new Uint8Array(await response.arrayBuffer()) }
    } catch (cause) {
      if (request.signal?.aborted) throw request.signal.reason
      throw timeout.aborted ? late(request, patienceMs, cause) : unreachable(request, cause)
    }
  }

  function late({ method, path }: Request, ms: number, cause: unknown): InfernetError {
    const message = `No answer to ${method} ${path} within ${ms} ms`
    return new InfernetError(message, { status: null, code: 'timeout', cause })
  }

  function unreachable({ method, path }: Request, cause: unknown): InfernetError {
    const message = `No answer from ${base.origin} to ${method} ${path}`
    return new InfernetError(message, { status: null, code: 'unreachable', cause })
  }

  async function exchange(request: Request, signal: AbortSignal): Promise<Response> {
    const { method, path, query, body } = request
    const target = new URL(path.slice(1), base)
    if (query) target.search = query.toString()
    const all = new Headers(headers)
    for (const [name, value] of Object.entries(request.headers ?? {})) all.set(name, value)
    if (!request.headers?.accept) all.set('accept', 'application/json')
    if (body) all.set('content-type', 'application/json')
    // Followed, a redirect would turn a POST into a GET.
    return await fetch(target, {
      method,
      headers: all,
      signal,
      redirect: 'manual',
      ...(body && { body }),
    })
  }

  async function attempt(request: Request): Promise<Answer> {
    const answer = await once(request)
    const { status, headers, bytes } = answer
    if ((status >= 200 && status < 300) || status === request.accepts) return answer
    throw toRefusal({ status, headers, text: new TextDecoder().decode(bytes) })
  }

  return {
    async open(request) {
      const head = new AbortController()
      const timer = setTimeout(() => head.abort(), timeoutMs)
      const signal = request.signal ? AbortSignal.any([request.signal, head.signal]) : head.signal
      try {
        const response = await exchange(request, signal)
        const { status, headers } = response
        if (status >= 200 && status < 300) return response
        throw toRefusal({ status, headers, text: await response.text() })
      } catch (cause) {
        if (request.signal?.aborted) throw request.signal.reason
        if (cause instanceof InfernetError) throw cause
        throw head.signal.aborted ? late(request, timeoutMs, cause) : unreachable(request, cause)
      } finally {
        clearTimeout(timer)
      }
    },
    async send(request) {
      for (let made = 0; ; made += 1) {
        try {
          return await attempt(request)
        } catch (error) {
          const waitMs =
            made < retries ? retryDelayMs({ error, attempt: made, repeatable: request.repeatable }) : null
          if (waitMs === null) throw error
          await sleep(waitMs, request.signal)
        }
      }
    },
  }
}

/** @throws TypeError when it is not an HTTP URL, or carries credentials, which `fetch` refuses: they belong into `headers`. */
function toBase(url: string | URL): URL {
  const base = new URL(url)
  if (base.protocol !== 'http:' && base.protocol !== 'https:')
    throw new TypeError(`The node's URL must begin with http: or https:, not ${base.protocol}`)
  if (base.username || base.password) throw new TypeError("The node's URL must not carry credentials")
  base.pathname = base.pathname.replace(/\/*$/, '/')
  base.search = ''
  base.hash = ''
  return base
}
