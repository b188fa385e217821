/** Numbers that a seed gives again: what is done is the same each time, when is not. */
export type Random = {
  /** A whole number, both ends included. */
  between(least: number, most: number): number
  pick<const T>(list: readonly [T, ...T[]]): T
  chance(probability: number): boolean
}

/** Mulberry32, which passes for chance and fits in a breath. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    between,
    pick: list => list[between(0, list.length - 1)] ?? list[0],
    chance: probability => next() < probability,
  }
}
