import type { Status } from './chain.ts'
import { cancelledAt, isOver } from './interval.ts'

/** Why the chain accepts no answer any more. */
export type Ending = 'cancelled' | 'expired' | 'completed'

/** Why no answer will be accepted from now on; null: one may be. `time`: unix seconds of block time. */
export function endingOf(
  status: Pick<Status, 'subscription' | 'interval' | 'count'>,
  time: number,
): Ending | null {
  const { subscription, interval, count } = status
  const { activeAt, frequency, redundancy } = subscription
  if (activeAt === cancelledAt) return 'cancelled'
  // One that wants no answers counts each interval as met.
  if (frequency === 0 || redundancy === 0) return 'completed'
  if (isOver(subscription, time)) return 'expired'
  return interval > 0 && isLast(subscription, interval) && count >= redundancy ? 'completed' : null
}

/** Whether no interval follows. */
export function isLast(
  { period, frequency }: { period: number; frequency: number },
  interval: number,
): boolean {
  return period === 0 || interval >= frequency
}
