import type { Block } from '../chain.ts'

/** Seconds between a chain's blocks, by their own times, as they were last seen; the newest last. */
export type Gaps = readonly number[]

const maxGaps = 8
/** Fewer say nothing of a rhythm. */
const minGaps = 4
/** By how much gaps of a rhythm differ, as a share of the least. */
const tolerance = 0.25

/** `before`: the newest block of an earlier look; null: there was none. */
export function withGap(gaps: Gaps, before: Block | null, { number, time }: Block): Gaps {
  if (before === null || number <= before.number) return gaps
  return [...gaps.slice(1 - maxGaps), (time - before.time) / (number - before.number)]
}

/**
 * Seconds from a block to the next one, at the least: 1, unless blocks are known to come in a rhythm. A chain that mines when it has something
 * to mine has none, and its next block may come at once.
 */
export function leastGap(gaps: Gaps): number {
  const least = Math.min(...gaps)
  const alike = gaps.filter(gap => gap <= least * (1 + tolerance))
  return gaps.length >= minGaps && 2 * alike.length >= gaps.length ? Math.floor(least) : 1
}
