import { expect, test } from 'vitest'
import { type Gaps, leastGap, withGap } from '../../../src/edge/chain/tick/rhythm.ts'
import { blockAt } from './node.ts'

/** A chain whose blocks came so many seconds after each other. */
function seen(...seconds: number[]): Gaps {
  let gaps: Gaps = []
  let before = blockAt(1_000, { number: 1 })
  for (const gap of seconds) {
    const next = blockAt(before.time + gap, { number: before.number + 1 })
    gaps = withGap(gaps, before, next)
    before = next
  }
  return gaps
}

test.for([
  { name: 'slots', seconds: [12, 12, 12, 12], least: 12 },
  { name: 'slots that are missed now and then', seconds: [24, 12, 12, 36, 12], least: 12 },
  { name: 'a second each', seconds: [1, 1, 1, 1, 1], least: 1 },
  { name: 'several a second', seconds: [0, 0, 1, 0, 0, 0, 1], least: 0 },
  { name: 'two before', seconds: [12, 12], least: 1 },
  { name: 'when there is something to mine', seconds: [3_600, 40, 700, 95, 20], least: 1 },
  {
    name: 'a rhythm that has become another',
    seconds: [...Array(8).fill(2), ...Array(8).fill(12)],
    least: 12,
  },
])('default: $name: $least seconds', ({ seconds, least }) => {
  expect(leastGap(seen(...seconds))).toBe(least)
})

test('behavior: blocks that were not looked at count, and those that were undone do not', () => {
  const block = (number: number) => blockAt(number * 12, { number })
  let gaps: Gaps = []
  for (const [before, next] of [
    [10, 13],
    [13, 12],
    [12, 14],
    [14, 15],
    [15, 16],
  ] as const)
    gaps = withGap(gaps, block(before), block(next))
  expect(gaps).toEqual([12, 12, 12, 12])
  expect(withGap(gaps, null, block(17))).toBe(gaps)
})
