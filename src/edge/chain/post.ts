import { EndpointFailure } from './endpoint-failure.ts'

/** Where to, with the credentials of the URL, which `fetch` does not take in one. */
export type Target = { url: string; headers: Readonly<Record<string, string>> }

export type PostOptions = { fetch: typeof fetch; timeoutMs: number; now(): number }

const maxAnswerBytes = 16 * 1024 * 1024
const maxRetryAfterMs = 10 * 60_000
/** What servers answer that take JSON-RPC, but no list of it. */
const batchRefusals: readonly number[] = [400, 405, 413, 415, 422, 501]

export function toTarget(text: string): Target {
  const url = new URL(text)
  const { username, password } = url
  url.username = ''
  url.password = ''
  const headers = { 'content-type': 'application/json', accept: 'application/json' }
  if (username === '' && password === '') return { url: url.href, headers }
  const credentials = new TextEncoder().encode(`${decoded(username)}:${decoded(password)}`)
  const authorization = `Basic ${btoa(String.fromCharCode(...credentials))}`
  return { url: url.href, headers: { ...headers, authorization } }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that stands for itself.
    return text
  }
}

/**
 * One HTTP exchange: JSON there and back, 16 MiB at most.
 * @throws EndpointFailure
 */
export async function post(target: Target, body: string, options: PostOptions): Promise<unknown> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), options.timeoutMs)
  try {
    const response = await options.fetch(target.url, {
      method: 'POST',
      headers: target.headers,
      body,
      // Elsewhere nobody has agreed to get what may be a key.
      redirect: 'manual',
      signal: late.signal,
    })
    if (!response.ok) throw await refused(response, options)
    return parse(await readText(response))
  } catch (error) {
    if (error instanceof EndpointFailure) throw error
    // What the platform says may hold the URL.
    throw new EndpointFailure(
      late.signal.aborted ? `is silent for ${options.timeoutMs} ms` : 'is not reached, or breaks off',
      { isOverwhelmed: true },
    )
  } finally {
    clearTimeout(timer)
  }
}

async function refused(response: Response, { now }: PostOptions): Promise<EndpointFailure> {
  const { status, headers } = response
  // It goes its own way then: whether that works does not matter.
  await response.body?.cancel().catch(() => undefined)
  return new EndpointFailure(`answers HTTP ${status}`, {
    retryAfterMs: retryAfterOf(headers.get('retry-after'), now()),
    refusesBatch: batchRefusals.includes(status),
    isOverwhelmed: status >= 500,
  })
}

/** Seconds or a date. */
function retryAfterOf(header: string | null, now: number): number {
  if (header === null) return 0
  const ms = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), maxRetryAfterMs)
}

async function readText(response: Response): Promise<string> {
  if (Number(response.headers.get('content-length') ?? 0) > maxAnswerBytes) throw await tooLong(response.body)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  const reader = response.body?.getReader()
  let text = ''
  let bytes = 0
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done) return text + decoder.decode()
    bytes += value.byteLength
    if (bytes > maxAnswerBytes) throw await tooLong(reader)
    text += decoder.decode(value, { stream: true })
  }
}

async function tooLong(body: { cancel(): Promise<void> } | null | undefined): Promise<EndpointFailure> {
  await body?.cancel().catch(() => undefined)
  return new EndpointFailure(`answers with more than ${maxAnswerBytes / 1024 / 1024} MiB`, {
    isOverwhelmed: true,
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new EndpointFailure('answers with something that is not JSON')
  }
}
