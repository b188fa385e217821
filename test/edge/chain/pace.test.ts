import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nextLook, noPace, type Pace, paced } from '../../../src/edge/chain/tick/pace.ts'

/** Looks at a chain whose blocks come every `periodMs`, until `endMs`. @returns the looks, and how late each block was seen. */
function watch({ periodMs, endMs }: { periodMs: number; endMs: number }) {
  let pace: Pace = noPace
  let at = 0
  const looks: number[] = []
  const late: number[] = []
  while (at < endMs) {
    looks.push(at)
    const number = Math.floor(at / periodMs)
    if (pace.number !== null && number > pace.number) late.push(at - number * periodMs)
    pace = paced(pace, number, at)
    at = nextLook(pace, at)
  }
  return { looks, late }
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

test.each([
  { periodMs: 12_000, looks: 4, late: 250 },
  { periodMs: 2_000, looks: 4, late: 150 },
  { periodMs: 1_000, looks: 4, late: 80 },
  { periodMs: 250, looks: 4, late: 60 },
])('default: sees blocks of $periodMs ms soon, and for few looks', ({ periodMs, looks, late }) => {
  const seen = watch({ periodMs, endMs: 100 * periodMs })
  expect(seen.looks.length / 100).toBeLessThan(looks)
  expect(median(seen.late)).toBeLessThan(late)
})

test('behavior: a chain that stands still is looked at each second', () => {
  let pace = paced(noPace, 5, 0)
  pace = paced(pace, 6, 2_000)
  let at = 2_000
  const steps: number[] = []
  for (let i = 0; i < 40; i++) {
    const next = nextLook(pace, at)
    steps.push(next - at)
    at = next
    pace = paced(pace, 6, at)
  }
  expect(Math.max(...steps.slice(1))).toBeCloseTo(1_000)
  expect(steps.at(-1)).toBeCloseTo(1_000)
})

test('behavior: the next look is always later, whatever was seen', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 60_000 }))), looks => {
      let pace: Pace = noPace
      let at = 0
      for (const [number, ms] of looks) {
        at += ms
        pace = paced(pace, number, at)
        const next = nextLook(pace, at)
        expect(next).toBeGreaterThan(at)
        expect(pace.periodMs ?? 1).toBeGreaterThan(0)
      }
    }),
  )
})
