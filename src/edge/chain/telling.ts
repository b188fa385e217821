import type { Log } from '../log.ts'
import type { Decision, Obstacle } from './decide.ts'
import { type Unserved, unserved } from './guard/serve.ts'
import type { StakeObstacle } from './stakes/purse.ts'

/** Why nothing is begun for now. */
export type SkipReason = Obstacle | StakeObstacle | Unserved | 'unasked' | 'no_lane'

/** What stands in the way, as operators of the reference know it. */
const obstacles: Record<SkipReason, string> = {
  invalid_wallet: 'invalid wallet',
  insufficient_balance: 'insufficient balance',
  insufficient_allowance: 'insufficient allowance',
  insufficient_prepayment: 'insufficient prepayment',
  payment_wallet: 'the payment address of this node is no wallet',
  no_input: 'no input from its consumer',
  unsupported_verifier: 'its verifier takes no such token, or asks for more than is left of the pay',
  proof_limit: 'too many proofs wait for a verdict',
  stake_limit: 'as much as is risked on its verifier is at stake already',
  insufficient_stake: 'insufficient balance of the node’s own wallet to back a proof',
  stake_unapproved: 'the node’s wallet approves what backs a proof',
  approval_unprofitable: 'what waits for it does not pay for approving what backs a proof',
  stake_not_ours: 'the owner of the node’s wallet has not approved what backs a proof',
  unreadable: 'it could not be read',
  unasked: 'the endpoints had no time for it',
  no_lane: 'too many other chains of containers wait',
  ...unserved,
}

const events: Record<Extract<Decision, { kind: 'end' | 'later' }>['reason'], string | null> = {
  cancelled: 'Subscription cancelled',
  expired: 'Subscription expired',
  missed: 'Subscription expired',
  completed: 'Subscription already completed',
  fulfilled: 'Subscription already completed',
  answered: 'Node has already responded for this interval',
  begun: null,
  not_open: null,
}

export type Told = { chain: number; subscription: number; interval?: number }

/** Sentences for a row's `message`. */
export function sentenceOf(reason: string): string {
  if (Object.hasOwn(obstacles, reason)) return obstacles[reason as SkipReason]
  return reason === 'begun'
    ? 'Its last interval is begun'
    : ((Object.hasOwn(events, reason) ? events[reason as keyof typeof events] : null) ?? reason)
}

export function tellSkipped(log: Log, told: Told, message: string): void {
  log.info(`Skipping subscription: ${told.subscription}: ${message}`, told)
}

/** Why nothing more, or nothing yet, is done for a subscription. */
export function tellPassed(
  log: Log,
  told: Told,
  { kind, reason }: Extract<Decision, { kind: 'end' | 'later' }>,
): void {
  const event = events[reason]
  if (event !== null) log.info(event, told)
  if (kind === 'end') tellStopped(log, told)
}

export function tellStopped(log: Log, told: Told): void {
  log.info(`Stopped tracking subscription: ${told.subscription}`, told)
}
