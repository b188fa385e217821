import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { atCeiling, bumped, lowered, offer, offered } from '../../../../src/edge/chain/outbox/fees.ts'
import { createModelChain } from './model-chain.ts'
import { createOutbox, gasPolicy, look } from './node.ts'

const wei = fc.bigInt({ min: 0n, max: 2n * gasPolicy.maxFeePerGas })

describe('fees', () => {
  test('default: twice the base fee, and what the chain suggests', () => {
    expect(offer(gasPolicy, { baseFee: 10n ** 9n, suggested: 2_000_000n })).toEqual({
      maxFeePerGas: 2n * 10n ** 9n + 2_000_000n,
      maxPriorityFeePerGas: 2_000_000n,
    })
  })

  test('default: what is offered at the moment is the base fee and the tip, as far as the ceiling of both goes', () => {
    const fees = { maxFeePerGas: 20n, maxPriorityFeePerGas: 1n }
    expect(offered(fees, { baseFee: 10n })).toBe(11n)
    expect(offered(fees, { baseFee: 30n })).toBe(20n)
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

  test('behavior: for less it is an eighth less at the least, and not below the market; with less room, where that alone is less', () => {
    fc.assert(
      fc.property(wei, wei, wei, (max, baseFee, suggested) => {
        const before = { maxFeePerGas: max, maxPriorityFeePerGas: 0n }
        const market = { baseFee, suggested }
        const fees = lowered(gasPolicy, before, market)
        const usual = offer(gasPolicy, market)
        if (fees === null) {
          expect(usual === null || usual.maxFeePerGas * 1125n > max * 1000n).toBe(true)
          return
        }
        expect(fees.maxFeePerGas * 1125n).toBeLessThanOrEqual(max * 1000n)
        expect(fees.maxFeePerGas).toBeGreaterThanOrEqual(baseFee + fees.maxPriorityFeePerGas)
      }),
    )
    const market = { baseFee: 8_000_000_000n, suggested: 0n }
    const offers = [20_000_000_000n, 16_000_000_000n, 10_000_000_000n].map(maxFeePerGas =>
      lowered(gasPolicy, { maxFeePerGas, maxPriorityFeePerGas: 0n }, market),
    )
    expect(offers.map(fees => fees?.maxFeePerGas)).toEqual([16_001_000_000n, 9_001_000_000n, undefined])
  })

  test('behavior: a market that rises and falls has a nonce signed for a few times, whatever endpoints have kept of it', async () => {
    const outbox = await createOutbox()
    const chain = createModelChain()
    const tick = async () =>
      void (await look(outbox.step(chain.head(), { rpc: chain.rpc, coordinator: chain.coordinator })))
    chain.settings.feeCap = 3n * 10n ** 15n
    await outbox.answer({ subscription: 1 })
    for (let block = 0; block < 120; block++) {
      chain.settings.baseFee = BigInt(1_000 + ((block * 7_301) % 40_000)) * 1_000_000n
      if (block % 11 === 0) chain.forget()
      chain.mine({ withhold: true })
      await tick()
    }
    expect(await outbox.raws()).toHaveLength(32)
    chain.settings.baseFee = 1_000_000_000n
    chain.forget()
    for (let block = 0; block < 5; block++) {
      chain.mine({ withhold: true })
      await tick()
    }
    chain.mine()
    await tick()
    expect(await outbox.deliveries()).toMatchObject([{ state: 'delivered' }])
    await outbox.close()
  })

  test('behavior: what must be replaced is offered the ceiling', () => {
    const before = { maxFeePerGas: gasPolicy.maxFeePerGas, maxPriorityFeePerGas: 5n }
    expect(bumped(gasPolicy, before, { baseFee: 0n, suggested: 0n })).toBeNull()
    expect(atCeiling(gasPolicy, before)).toEqual(before)
  })
})
