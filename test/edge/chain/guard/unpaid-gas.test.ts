import fc from 'fast-check'
import { type Address, zeroAddress } from 'viem'
import { expect, test } from 'vitest'
import { priceScale } from '../../../../src/edge/chain/guard/serve.ts'
import { uncoveredGas } from '../../../../src/edge/chain/guard/unpaid-gas.ts'

/** What of an answer's gas its pay does not cover. */

const token: Address = `0x${'cc'.repeat(20)}`
const prices = new Map([
  [zeroAddress, priceScale],
  [token, 2n * priceScale],
])

test.for([
  ['nothing', { payout: 0n, token: zeroAddress }, 100],
  ['less than nothing', { payout: -1n, token: zeroAddress }, 100],
  ['a unit', { payout: 1n, token: zeroAddress }, 100],
  ['half of it', { payout: 500n, token: zeroAddress }, 50],
  ['all of it', { payout: 1_000n, token: zeroAddress }, 0],
  ['a token at its price', { payout: 500n, token }, 0],
  ['a token without a price', { payout: 10n ** 30n, token: `0x${'dd'.repeat(20)}` }, 100],
] as const)('default: %s', ([, paid, unpaid]) => {
  expect(uncoveredGas(prices, { ...paid, gas: 100, price: 10n })).toBe(unpaid)
})

test('default: where gas costs nothing whoever pays anything pays for it', () => {
  expect(uncoveredGas(prices, { payout: 1n, token: zeroAddress, gas: 100, price: 0n })).toBe(0)
  expect(uncoveredGas(prices, { payout: 0n, token: zeroAddress, gas: 100, price: 0n })).toBe(100)
})

test('property: it is a part of the gas, and no more for more pay', () => {
  const amounts = fc.bigInt({ min: 0n, max: 2n ** 200n })
  const gases = fc.nat({ max: 30_000_000 })
  fc.assert(
    fc.property(amounts, amounts, gases, fc.bigInt({ min: 0n, max: 10n ** 15n }), (one, more, gas, price) => {
      const unpaid = (payout: bigint) => uncoveredGas(prices, { payout, token, gas, price })
      expect(unpaid(one)).toBeGreaterThanOrEqual(0)
      expect(unpaid(one)).toBeLessThanOrEqual(gas)
      expect(unpaid(one + more)).toBeLessThanOrEqual(unpaid(one))
    }),
  )
})
