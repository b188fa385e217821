import * as v from 'valibot'
import { InfernetError } from './error.ts'

/** `ErrorBody` of the protocol, as leniently as the reference's clients read it: `code` and `params` may be missing. */
const Refusal = v.object({
  error: v.fallback(v.string(), 'Unknown error'),
  code: v.fallback(v.string(), 'unknown'),
  params: v.fallback(v.record(v.string(), v.unknown()), {}),
})
const RefusalText = v.pipe(v.string(), v.parseJson(), Refusal)

const maxMessageLength = 1_000

/** An answer outside 2xx as an error. The body may be anything: proxies answer in HTML. */
export function toRefusal({ status, headers, text }: { status: number; headers: Headers; text: string }) {
  const retryAfterMs = readRetryAfter(headers)
  if (status === 0 || (status >= 300 && status < 400)) {
    const location = headers.get('location')
    const message = `The node redirects${location ? ` to ${location}` : ''}: use that address`
    return new InfernetError(message, { status, code: 'redirected' })
  }
  const parsed = v.safeParse(RefusalText, text)
  if (!parsed.success) return new InfernetError('Unknown error', { status, code: 'unknown', retryAfterMs })
  const { error, code, params } = parsed.output
  return new InfernetError(error.slice(0, maxMessageLength), { status, code, params, retryAfterMs })
}

/** `Retry-After` in both of its forms: seconds, or a date. */
export function readRetryAfter(headers: Headers, now: number = Date.now()): number | null {
  const value = headers.get('retry-after')?.trim()
  if (!value) return null
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
