/** What could not be begun. `tries`: looks in a row that were in vain. Times: unix seconds of block time. */
export type Vain = {
  tries: number
  time: number
  /** Whether the interval that is open is another than at the look before. */
  isNew: boolean
  /** When the next interval begins; null: there is none, or it is not known. */
  nextAt: number | null
  /** Seconds of an interval. */
  period: number
}

/** A block of most chains, then twice as long each time. */
const firstSeconds = 5
export const longestSeconds = 600
/** So many looks may follow each other as closely as intervals do. */
const closeLooks = 3
/** Intervals that are as long begin with a look each, however many were in vain; of shorter ones, one is looked at so often. */
const minuteSeconds = 60

/**
 * When to look again, and how many looks were in vain then. The next interval begins with a look, and anew: what the last one waited for is not
 * its matter. Where intervals are shorter than a minute, looks that go on being in vain become as rare as one a minute, whatever the intervals.
 */
export function nextTry({ tries: before, time, isNew, nextAt, period }: Vain): {
  due: number
  tries: number
} {
  const isShort = period < minuteSeconds
  const tries = isNew && !isShort ? 0 : before
  const pause = pauseAfter(tries)
  const least = isShort && tries >= closeLooks ? Math.min(pauseAfter(tries - closeLooks), minuteSeconds) : 0
  const begin = Math.max(nextAt ?? Number.POSITIVE_INFINITY, time + least)
  return { due: Math.min(time + pause, begin), tries: tries + 1 }
}

function pauseAfter(tries: number): number {
  return Math.min(firstSeconds * 2 ** tries, longestSeconds)
}
