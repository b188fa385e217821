import { InfernetError } from './error.ts'

/**
 * When a request is sent again. What is NOT, and why:
 *
 * - after 3xx, 4xx other than 408, 425 and 429, or 501: the same bytes would get the same answer;
 * - after an answer that the protocol does not know: whoever wrote it writes it again;
 * - after its caller aborted it;
 * - when the node asks for more patience than `maxWaitMs`: the caller learns `retryAfterMs` and decides;
 * - a request that creates jobs without an idempotency key, unless it was provably not carried out, because a job created twice is
 *   computed twice:
 *   - not after a timeout or a connection that broke: the jobs may be stored and only the answer lost;
 *   - not after 500, 502, 504: the same;
 *   - not after 503 `database_unavailable`: the statement that stores them may have got through;
 *   - not after 503 without `Retry-After`: that is how platforms answer for a program that died half-way;
 *   - but after a connection refused, a name not found, 429, or another 503 with `Retry-After`.
 *   Refused items of a batch are never sent again: they are answers, and the caller's.
 */
export type Repeatable = boolean

/** Longest wait before a request is sent again. */
export const maxWaitMs = 10_000
const firstWaitMs = 200

export type RetryOptions = {
  error: unknown
  /** Attempts made so far, less one. */
  attempt: number
  /** Whether carrying the request out twice does what doing so once does. */
  repeatable: Repeatable
  /** In [0, 1). */
  random?: () => number
}

/** Milliseconds to wait before the next attempt; null: there is none. */
export function retryDelayMs({
  error,
  attempt,
  repeatable,
  random = Math.random,
}: RetryOptions): number | null {
  if (!(error instanceof InfernetError)) return null
  if (!(repeatable ? isTransient(error) : isUnexecuted(error))) return null
  if (error.retryAfterMs !== null && error.retryAfterMs > maxWaitMs) return null
  // Full jitter: clients that lost their node at one moment come back spread out, and none before it asked them to.
  const ceiling = Math.min(maxWaitMs, firstWaitMs * 2 ** attempt)
  return (error.retryAfterMs ?? 0) + random() * ceiling
}

const transientStatus = new Set([408, 425, 429, 500, 502, 503, 504])

/** Whether the same request may succeed in a while. */
export function isTransient({ status, code }: InfernetError): boolean {
  if (status === null) return code === 'unreachable' || code === 'timeout'
  // From 520 on: Cloudflare, about an origin that it cannot reach.
  return code !== 'bad_answer' && (transientStatus.has(status) || status >= 520)
}

/** Whether the node certainly did nothing of what the request asked. */
export function isUnexecuted({ status, code, cause, retryAfterMs }: InfernetError): boolean {
  if (code === 'unreachable') return wasNeverConnected(cause)
  if (status === 429) return true
  return status === 503 && retryAfterMs !== null && code !== 'database_unavailable'
}

const neverConnected = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** Runtimes that tell why a request failed tell it in the causes; browsers and Workers do not tell. */
function wasNeverConnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && neverConnected.has(String(error.code))) return true
  // Deno has no codes.
  return /Connection refused \(os error/.test(error.message) || wasNeverConnected(error.cause)
}
