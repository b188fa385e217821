import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { atCeiling, bumped, offer } from '../../../../src/edge/chain/outbox/fees.ts'
import { gasPolicy } from './node.ts'

const wei = fc.bigInt({ min: 0n, max: 2n * gasPolicy.maxFeePerGas })

describe('fees', () => {
  test('default: twice the base fee, and what the chain suggests', () => {
    expect(offer(gasPolicy, { baseFee: 10n ** 9n, suggested: 2_000_000n })).toEqual({
      maxFeePerGas: 2n * 10n ** 9n + 2_000_000n,
      maxPriorityFeePerGas: 2_000_000n,
    })
  })

  test('behavior: never above the ceiling, never below the market, the tip within', () => {
    fc.assert(
      fc.property(wei, wei, (baseFee, suggested) => {
        const fees = offer(gasPolicy, { baseFee, suggested })
        const least = suggested > gasPolicy.minPriorityFeePerGas ? suggested : gasPolicy.minPriorityFeePerGas
        if (fees === null) {
          expect(baseFee + least).toBeGreaterThan(gasPolicy.maxFeePerGas)
          return
        }
        expect(fees.maxFeePerGas).toBeLessThanOrEqual(gasPolicy.maxFeePerGas)
        expect(fees.maxFeePerGas).toBeGreaterThanOrEqual(baseFee + fees.maxPriorityFeePerGas)
      }),
    )
  })

  test('behavior: a replacement offers 12.5 % more of both, rounded up, within the ceiling; or there is none', () => {
    fc.assert(
      fc.property(wei, wei, wei, wei, (max, tip, baseFee, suggested) => {
        const before = { maxFeePerGas: max, maxPriorityFeePerGas: tip < max ? tip : max }
        const fees = bumped(gasPolicy, before, { baseFee, suggested })
        if (fees === null) return
        for (const key of ['maxFeePerGas', 'maxPriorityFeePerGas'] as const) {
          expect(fees[key] * 1000n).toBeGreaterThanOrEqual(before[key] * 1125n)
          expect(fees[key]).toBeGreaterThan(before[key])
        }
        expect(fees.maxFeePerGas).toBeLessThanOrEqual(gasPolicy.maxFeePerGas)
        expect(fees.maxPriorityFeePerGas).toBeLessThanOrEqual(fees.maxFeePerGas)
      }),
    )
    const market = { baseFee: 0n, suggested: 0n }
    expect(bumped(gasPolicy, { maxFeePerGas: 9_000_001n, maxPriorityFeePerGas: 1n }, market)).toEqual({
      maxFeePerGas: 10_125_002n,
      maxPriorityFeePerGas: 1_000_000n,
    })
  })

  test('behavior: what must be replaced is offered the ceiling', () => {
    const before = { maxFeePerGas: gasPolicy.maxFeePerGas, maxPriorityFeePerGas: 5n }
    expect(bumped(gasPolicy, before, { baseFee: 0n, suggested: 0n })).toBeNull()
    expect(atCeiling(gasPolicy, before)).toEqual(before)
  })
})
