import { zeroAddress } from 'viem'
import { isOfCall } from '../reverts.ts'
import type { Computed } from './computed.ts'

/** What is in the way may go away; for a wallet that may be filled, the end of the interval is waited for, where it has one. */
export const maxKnown = 10
/** Until endpoints may say more of an answer. It is no try: none of them has said no. */
export const unclearMs = 30_000
/** Some blocks, until gas may cost less, or a day has passed. */
export const unservedMs = 30_000
export const maxPauseMs = 10 * 60_000
const firstPauseMs = 2_000

/** Milliseconds until an answer is tried again; `tries`: how often it was before. */
export function pauseAfter(tries: number): number {
  return Math.min(maxPauseMs, firstPauseMs * 2 ** tries)
}

/** What others, or the clock, have come to first is no fault of whoever asked; nor is the protocol's fee: neither the price nor its terms ever change. */
const blameless: ReadonlySet<string> = new Set([
  'IntervalCompleted',
  'NodeRespondedAlready',
  'SubscriptionCompleted',
  'IntervalMismatch',
  'DeliveryTooLate',
  'PayoutTooLow',
  'FeeAboveTerms',
])

/** Whether nobody is to blame for it. Only where the chain's state says the same: a consumer may revert with whatever it likes. */
export function isBlameless(reason: string, { verifier }: Pick<Computed, 'verifier'>): boolean {
  // Whoever asked has chosen who checks the proof, and what that takes.
  return blameless.has(reason) && (reason !== 'PayoutTooLow' || verifier === zeroAddress)
}

/** Whom it is counted to that an answer is given up for this. */
export function blamed(
  reason: string,
  { owner, verifier }: Pick<Computed, 'owner' | 'verifier'>,
): { refused?: string } {
  return isBlameless(reason, { verifier }) ? {} : { refused: owner }
}

/** Whom it is counted to that an answer has waited until it was too late, for whatever it was not taken for when it was last tried. */
export function blamedLate({
  reason,
  hasFailed,
  ...delivery
}: Pick<Computed, 'reason' | 'hasFailed' | 'owner' | 'verifier'>): { refused?: string } {
  // What was mined and failed is counted as that.
  return reason !== null && !hasFailed && isOfCall(reason) ? blamed(reason, delivery) : {}
}
