import { limits } from './limits.ts'

/** Whether a text may be an `Idempotency-Key`: visible ASCII, of bounded length. */
export function isIdempotencyKey(text: string): boolean {
  return text.length <= limits.idempotencyKeyLength && /^[\x21-\x7e]+$/.test(text)
}
