import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noLimits } from '../../../../src/edge/chain/guard/guard.ts'
import { shares } from '../../../../src/edge/chain/guard/share.ts'
import { excessOf, type Hour, hourMs, sumOf } from '../../../../src/edge/chain/guard/window.ts'

const nothing = { reverted: 0, rejected: 0, dropped: 0, wastedGas: 0, unpaidGas: 0 }
const start = 500_000
const now = start * hourMs + 1234

describe('excessOf', () => {
  test('default: below it nobody is barred, at it one is', () => {
    const hours = [{ ...nothing, hour: start, reverted: 2 }]
    expect(excessOf(hours, { ...noLimits, reverted: 3 }, now)).toBeNull()
    expect(excessOf(hours, { ...noLimits, reverted: 2 }, now)).toEqual({
      limit: 'reverted',
      used: 2,
      most: 2,
      until: (start + 24) * hourMs,
    })
  })

  test('behavior: an hour counts for 24, its own among them', () => {
    const hours = [{ ...nothing, hour: start - 23, dropped: 1 }]
    const limits = { ...noLimits, dropped: 1 }
    expect(excessOf(hours, limits, now)).toMatchObject({ until: (start + 1) * hourMs })
    expect(excessOf(hours, limits, (start + 1) * hourMs - 1)).not.toBeNull()
    expect(excessOf(hours, limits, (start + 1) * hourMs)).toBeNull()
  })

  test('behavior: of several limits the one that lasts longest', () => {
    const hours = [
      { ...nothing, hour: start - 10, reverted: 9 },
      { ...nothing, hour: start - 2, wastedGas: 9 },
    ]
    expect(excessOf(hours, { ...noLimits, reverted: 1, wastedGas: 1 }, now)?.limit).toBe('wastedGas')
  })

  const hourly = fc.uniqueArray(
    fc.record({
      hour: fc.integer({ min: start - 40, max: start }),
      reverted: fc.nat(5),
      rejected: fc.nat(5),
      dropped: fc.nat(5),
      wastedGas: fc.nat(1_000_000),
      unpaidGas: fc.nat(1_000_000),
    }),
    { selector: ({ hour }: Hour) => hour, maxLength: 40 },
  )

  test('property: it bars while the sum of a day is at the limit, and not a moment longer', () => {
    fc.assert(
      fc.property(hourly, fc.integer({ min: 1, max: 40 }), (hours, most) => {
        const limits = { ...noLimits, reverted: most }
        const excess = excessOf(hours, limits, now)
        expect(excess !== null).toBe(sumOf(hours, 'reverted', now) >= most)
        if (excess === null) return
        expect(sumOf(hours, 'reverted', excess.until - 1)).toBeGreaterThanOrEqual(most)
        expect(sumOf(hours, 'reverted', excess.until)).toBeLessThan(most)
      }),
    )
  })

  test('property: the order of hours says nothing', () => {
    fc.assert(
      fc.property(hourly, fc.integer({ min: 1, max: 40 }), (hours, most) => {
        const limits = { ...noLimits, reverted: most, wastedGas: most * 1000 }
        expect(excessOf(hours.toReversed(), limits, now)).toEqual(excessOf(hours, limits, now))
      }),
    )
  })
})

describe('shares', () => {
  test('default', () => {
    expect(shares(100, [1, 1])).toEqual([50, 50])
    expect(shares(100, [1, 3])).toEqual([25, 75])
    expect(shares(101, [0, 0])).toEqual([50, 51])
    expect(shares(7, [0, 5])).toEqual([0, 7])
    expect(shares(7, [])).toEqual([])
  })

  test('property: together they are all of it, and each is within one of its part', () => {
    fc.assert(
      fc.property(
        fc.nat(30_000_000),
        fc.array(fc.nat(30_000_000), { minLength: 1, maxLength: 32 }),
        (amount, weights) => {
          const parts = shares(amount, weights)
          const total = weights.reduce((sum, weight) => sum + weight, 0)
          expect(parts.reduce((sum, part) => sum + part, 0)).toBe(amount)
          for (const [index, part] of parts.entries()) {
            const exact = total > 0 ? (amount * weights[index]!) / total : amount / weights.length
            expect(Math.abs(part - exact)).toBeLessThanOrEqual(1)
          }
        },
      ),
    )
  })
})
