import type { Hex } from 'viem'
import type { Status } from './chain.ts'
import { type Ending, endingOf, isLast } from './ending.ts'
import { beginOf, endOf } from './interval.ts'

/** Why an interval that is open is left out. */
export type Omission = 'answered' | 'fulfilled' | 'missed'

/** Why what is due is looked at again later. */
export type Obstacle =
  | 'invalid_wallet'
  | 'insufficient_balance'
  | 'insufficient_allowance'
  | 'insufficient_prepayment'
  | 'payment_wallet'
  | 'no_input'

/**
 * What to do about a subscription that is due. `begin`: compute the answer; `input` null: from the data that came with the request. `wait`: look again after a pause, or when the next interval
 * begins, `nextAt`. `later`: nothing until `dueAt`. `end`: nothing ever. Times: unix seconds of block time; null: never.
 */
export type Decision =
  | { kind: 'begin'; interval: number; input: Hex | null; deadline: number | null }
  | { kind: 'wait'; interval: number; reason: Obstacle; nextAt: number | null }
  | { kind: 'later'; interval: number; dueAt: number; reason: Omission | 'not_open' | 'begun' }
  | { kind: 'end'; interval: number; reason: Ending | Omission | 'begun' }

export type Situation = {
  status: Status
  /** The first interval that was neither begun nor left out. */
  nextInterval: number
  /** Of the block at which the status was read. */
  time: number
  /** Of the newest block: an answer is mined after it. */
  latestTime: number
  /** Data came with the request for it, over HTTP: it stands in where the consumer gives nothing. */
  hasData?: boolean
  /** What of the node's own is in the way, whatever the consumer has. */
  ownObstacle?: Obstacle | null
}

export function decide({
  status,
  nextInterval,
  time,
  latestTime,
  hasData = false,
  ownObstacle = null,
}: Situation): Decision {
  const { subscription, interval, count, responded, input } = status
  const ending = endingOf(status, time)
  if (ending !== null) return { kind: 'end', interval, reason: ending }
  if (interval === 0) {
    const dueAt = Math.max(time + 1, subscription.activeAt)
    return { kind: 'later', interval: nextInterval, dueAt, reason: 'not_open' }
  }
  if (interval < nextInterval) return pass(status, nextInterval - 1, 'begun')
  if (responded) return pass(status, interval, 'answered')
  if (count >= subscription.redundancy) return pass(status, interval, 'fulfilled')
  const deadline = endOf(subscription, interval)
  if (deadline !== null && deadline <= latestTime) return pass(status, interval, 'missed')
  const nextAt = nextAfter(status, interval)
  const obstacle = ownObstacle ?? paymentObstacle(status)
  if (obstacle !== null) return { kind: 'wait', interval, reason: obstacle, nextAt }
  if (hasData && (input === null || input === '0x')) return { kind: 'begin', interval, input: null, deadline }
  if (input === null) return { kind: 'wait', interval, reason: 'no_input', nextAt }
  return { kind: 'begin', interval, input, deadline }
}

/** Goes on to the interval after this one, if there is one. */
export function pass<Reason extends Omission | 'begun'>(
  { subscription }: Pick<Status, 'subscription'>,
  interval: number,
  reason: Reason,
) {
  if (isLast(subscription, interval)) return { kind: 'end', interval, reason } as const
  const next = interval + 1
  return { kind: 'later', interval: next, dueAt: beginOf(subscription, next), reason } as const
}

/** When the interval after this one begins; null: there is none. Unix seconds of block time. */
export function nextAfter({ subscription }: Pick<Status, 'subscription'>, interval: number): number | null {
  return isLast(subscription, interval) ? null : beginOf(subscription, interval + 1)
}

/** Why an answer would not be paid; null: it would, or nothing is promised. */
export function paymentObstacle({
  subscription,
  wallet,
}: Pick<Status, 'subscription' | 'wallet'>): Obstacle | null {
  const { paymentAmount, prepaid } = subscription
  if (paymentAmount === 0n) return null
  if (wallet === null) return 'invalid_wallet'
  if (prepaid) return wallet.prepayment < paymentAmount ? 'insufficient_prepayment' : null
  if (wallet.funds < paymentAmount) return 'insufficient_balance'
  return wallet.allowance < paymentAmount ? 'insufficient_allowance' : null
}
