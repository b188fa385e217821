import type { Address } from 'viem'

/** What is in the way may go away; for a wallet that may be filled, the end of the interval is waited for, where it has one. */
export const maxKnown = 10
/** Until endpoints may say more of an answer. It is no try: none of them has said no. */
export const unclearMs = 30_000
export const maxPauseMs = 10 * 60_000
const firstPauseMs = 2_000

/** Milliseconds until an answer is tried again; `tries`: how often it was before. */
export function pauseAfter(tries: number): number {
  return Math.min(maxPauseMs, firstPauseMs * 2 ** tries)
}

/** What others, or the clock, have come to first is no fault of whoever asked; nor is a fee that was raised: the price itself never changes. */
const blameless: ReadonlySet<string> = new Set([
  'IntervalCompleted',
  'NodeRespondedAlready',
  'SubscriptionCompleted',
  'IntervalMismatch',
  'DeliveryTooLate',
  'PayoutTooLow',
])

/** Whom it is counted to that an answer is given up for this. */
export function blamed(reason: string, owner: Address): { refused?: string } {
  return blameless.has(reason) ? {} : { refused: owner }
}
