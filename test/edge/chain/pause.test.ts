import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextTry } from '../../../src/edge/chain/pause.ts'

/** Looks at a subscription that gives nothing, from its first interval on. @returns when, in seconds since then. */
function looksOf({ period, seconds }: { period: number; seconds: number }): number[] {
  const looks: number[] = []
  let tries = 0
  let interval = 0
  for (let time = 0; time < seconds; ) {
    looks.push(time)
    const open = period === 0 ? 1 : Math.floor(time / period) + 1
    const nextAt = period === 0 ? null : open * period
    const next = nextTry({ tries, time, isNew: open > interval && interval > 0, nextAt, period })
    interval = open
    tries = next.tries
    time = next.due
  }
  return looks
}

test.for([
  { period: 0, looks: [0, 5, 15, 35, 75, 155, 315, 635, 1_235, 1_835] },
  {
    period: 3_600,
    looks: [0, 5, 15, 35, 75, 155, 315, 635, 1_235, 1_835, 2_435, 3_035, 3_600, 3_605, 3_615],
  },
  { period: 60, looks: [0, 5, 15, 35, 60, 65, 75, 95, 120, 125] },
  { period: 12, looks: [0, 5, 12, 24, 36, 48, 68, 108, 168, 228] },
  { period: 1, looks: [0, 1, 2, 3, 8, 18, 38, 78, 138, 198] },
])('default: of intervals of $period s, looks in vain', ({ period, looks }) => {
  expect(looksOf({ period, seconds: 10_000 }).slice(0, looks.length)).toEqual(looks)
})

const period = fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 91, max: 5_000 }))

test('behavior: looks in vain do not storm, however short the intervals', () => {
  const property = fc.property(period, period => {
    const looks = looksOf({ period, seconds: 6_000 })
    // Once it has gone on for a while, at most what an interval of a minute takes.
    expect(looks.filter(at => at >= 3_000).length).toBeLessThanOrEqual(50 * 4 + 4)
    for (const [index, at] of looks.entries()) expect(at).toBeGreaterThan(looks[index - 1] ?? -1)
  })
  fc.assert(property)
})

test('behavior: no interval of a minute or more goes without a look at its beginning, and one soon after', () => {
  const property = fc.property(fc.integer({ min: 60, max: 5_000 }), period => {
    const looks = new Set(looksOf({ period, seconds: 10 * period }))
    for (let interval = 0; interval < 10; interval++) {
      expect(looks).toContain(interval * period)
      expect(looks).toContain(interval * period + 5)
    }
  })
  fc.assert(property)
})

test('behavior: whoever gives something after all waits a minute at most, where intervals are short', () => {
  const property = fc.property(fc.integer({ min: 1, max: 59 }), period => {
    const looks = looksOf({ period, seconds: 3_000 })
    for (const [index, at] of looks.entries())
      expect(at - (looks[index - 1] ?? 0)).toBeLessThanOrEqual(60 + period)
  })
  fc.assert(property)
})
