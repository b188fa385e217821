import type { Backoff } from '../backoff.ts'
import { EdgeError } from './error.ts'

/** `soon`: back-off. `slowly`: an operator has to act first. `never`: the same bytes would get the same answer. */
export type Retry = 'soon' | 'slowly' | 'never'

/** What is not retried soon, and why, where the edge itself says it. Everything else is: no answer, 408, 429, 5xx. */
const notSoon: Record<number, Retry> = {
  400: 'never', // we wrote something that the edge cannot read
  401: 'slowly', // the key is not enrolled or was revoked, or a clock is off
  403: 'slowly', // the same, seen later in the edge's handling
  404: 'never', // no such job, question or route
  405: 'never', // not an edge, or of another version
  409: 'never', // the lease is not ours any more
  413: 'never', // too large stays too large
  422: 'never', // read, and refused
}

/**
 * `ours`: the answer is in the protocol's words. Anything else comes from a proxy before the edge, which says 404 or 405 while the
 * edge restarts: it has not seen the job, and so ends nothing.
 */
export function retryOf(status: number, { ours }: { ours: boolean }): Retry {
  const retry = notSoon[status] ?? 'soon'
  return retry === 'never' && !ours ? 'soon' : retry
}

const slowPaceMs = 15_000
/** Longest back-off, in milliseconds. To ask where nobody answers costs the edge nothing. */
export type Caps = { silent: number; refused: number }
const usualCaps: Caps = { silent: 1_500, refused: 30_000 }

/**
 * How long a loop waits. It has nothing else to do, so even after a final refusal it asks again: an edge that has forgotten this
 * process (409) knows it again once it has registered.
 */
export function paceOf(error: unknown, backoff: Backoff, caps = usualCaps): number {
  if (error instanceof EdgeError && error.retry === 'slowly') return slowPaceMs
  return backoff.next(isSilence(error) ? caps.silent : caps.refused)
}

/** Nobody answered at all. */
export function isSilence(error: unknown): boolean {
  return error instanceof EdgeError && error.status === null
}

/** The edge itself refuses these bytes, and would again. */
export function isFinal(error: unknown): boolean {
  return error instanceof EdgeError && error.retry === 'never'
}
