/** `activeAt` of a subscription that was cancelled. */
export const cancelledAt = 2 ** 32 - 1

/** What intervals are reckoned from. Times: unix seconds of block time. */
export type Schedule = { activeAt: number; period: number; frequency: number; expiresAt: number }

/** The interval that is open at `time`, from 1, as the contract reckons it; 0: it has not begun, is over, cancelled, or has expired. */
export function intervalAt({ activeAt, period, frequency, expiresAt }: Schedule, time: number): number {
  if (time < activeAt || activeAt === cancelledAt || (expiresAt > 0 && time >= expiresAt)) return 0
  const interval = period === 0 ? 1 : Math.floor((time - activeAt) / period) + 1
  return interval > frequency ? 0 : interval
}

/** When an interval begins. */
export function beginOf({ activeAt, period }: Schedule, interval: number): number {
  return activeAt + (interval - 1) * period
}

/** From when no answer for an interval is accepted any more; null: it stays open for ever. */
export function endOf(schedule: Schedule, interval: number): number | null {
  const { period, expiresAt } = schedule
  const end = period === 0 ? Number.POSITIVE_INFINITY : beginOf(schedule, interval + 1)
  const least = expiresAt > 0 ? Math.min(end, expiresAt) : end
  return Number.isFinite(least) ? least : null
}

/** Whether no interval is, or will be, open. */
export function isOver(schedule: Schedule, time: number): boolean {
  const { activeAt, frequency, expiresAt } = schedule
  if (activeAt === cancelledAt || frequency === 0 || (expiresAt > 0 && time >= expiresAt)) return true
  const end = endOf(schedule, frequency)
  return end !== null && time >= end
}
