import type { Limits } from './guard.ts'

/** What a consumer has cost in an hour. `hour`: since 1970. */
export type Hour = {
  hour: number
  reverted: number
  rejected: number
  dropped: number
  wastedGas: number
  unpaidGas: number
}

/** A limit that is reached. `until`: unix milliseconds from which on it is not any more, if nothing is added. */
export type Excess = { limit: keyof Limits; used: number; most: number; until: number }

export const hourMs = 3_600_000
/** The hour that it is counts, and 23 before it. */
export const windowHours = 24

const names = ['reverted', 'rejected', 'wastedGas', 'unpaidGas', 'dropped'] as const

/** The limit that bars a consumer for longest; null: none does. `hours`: in any order, one of each; `now`: unix milliseconds. */
export function excessOf(hours: readonly Hour[], limits: Limits, now: number): Excess | null {
  let longest: Excess | null = null
  for (const limit of names) {
    const excess = excessOver(hours, { limit, most: limits[limit], now })
    if (excess !== null && (longest === null || excess.until > longest.until)) longest = excess
  }
  return longest
}

function excessOver(
  hours: readonly Hour[],
  { limit, most, now }: { limit: keyof Limits; most: number | null; now: number },
): Excess | null {
  if (most === null) return null
  const counted = countedAt(hours, now)
  const used = sumOf(counted, limit, now)
  let left = used
  let until: number | null = null
  for (const each of counted) {
    if (left < most) break
    left -= each[limit]
    until = (each.hour + windowHours) * hourMs
  }
  return until === null ? null : { limit, used, most, until }
}

/** Of what counts at a time, in unix milliseconds. */
export function sumOf(hours: readonly Hour[], limit: keyof Limits, now: number): number {
  return countedAt(hours, now).reduce((sum, each) => sum + each[limit], 0)
}

/** The oldest first. */
function countedAt(hours: readonly Hour[], now: number): Hour[] {
  const current = Math.floor(now / hourMs)
  return hours.filter(({ hour }) => hour > current - windowHours).toSorted((a, b) => a.hour - b.hour)
}
