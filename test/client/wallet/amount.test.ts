import fc from 'fast-check'
import { parseUnits } from 'viem'
import { describe, expect, test } from 'vitest'
import { inUnits, parseAmount, toBase } from '../../../src/client/wallet/amount.ts'

const base = (text: string, decimals: number | null = null) => toBase(parseAmount(text), decimals)

describe('amounts', () => {
  test('default: base units, powers of ten, and the token’s own unit', () => {
    expect(base('1000')).toBe(1000n)
    expect(base('0')).toBe(0n)
    expect(base('0.1 ether')).toBe(10n ** 17n)
    expect(base(' 5  GWEI ')).toBe(5_000_000_000n)
    expect(base('1e18')).toBe(10n ** 18n)
    expect(base('1.5e3 kwei')).toBe(1_500_000n)
    expect(base('1.5 token', 6)).toBe(1_500_000n)
    expect(base('2 tokens', 24)).toBe(2n * 10n ** 24n)
    expect(base('1 ether', 6)).toBe(10n ** 18n)
  })

  test('behavior: every unit that eth-utils knows is worth the same', () => {
    const powers = {
      ...{
        wei: 0,
        kwei: 3,
        babbage: 3,
        femtoether: 3,
        mwei: 6,
        lovelace: 6,
        picoether: 6,
        gwei: 9,
        shannon: 9,
      },
      ...{
        nanoether: 9,
        nano: 9,
        szabo: 12,
        microether: 12,
        micro: 12,
        finney: 15,
        milliether: 15,
        milli: 15,
      },
      ...{ ether: 18, kether: 21, grand: 21, mether: 24, gether: 27, tether: 30 },
    }
    for (const [unit, power] of Object.entries(powers))
      expect([unit, base(`3 ${unit}`)]).toEqual([unit, 3n * 10n ** BigInt(power)])
  })

  test('behavior: no digit is lost, whatever the decimals', () => {
    const amounts = fc.record({
      value: fc.bigInt(0n, 2n ** 256n - 1n),
      decimals: fc.integer({ min: 0, max: 40 }),
    })
    fc.assert(
      fc.property(amounts, ({ value, decimals }) => {
        const text = inUnits(value, decimals)
        expect(base(`${text} token`, decimals)).toBe(value)
        expect(parseUnits(text, decimals)).toBe(value)
        expect(base(String(value))).toBe(value)
      }),
    )
  })

  const refused: [string, RegExp][] = [
    ['', /^Not an amount: \. Write 1000/],
    ['-1', /^Not an amount/],
    ['1,5 ether', /^Not an amount/],
    ['0x10', /^Not an amount/],
    ['1 ether 2', /^Not an amount/],
    ['1 dollar', /^Not a unit: dollar\. Known are token, wei, kwei/],
    ['0.5', /^0\.5 is not a whole number of base units$/],
    ['0.0000000000000000001 ether', /is not a whole number of base units$/],
    ['1.5 token', /^The token does not tell its decimals/],
    [String(2n ** 256n), /is more than there can be/],
    ['1e60 ether', /is more than there can be/],
  ]
  test.for(refused)('behavior: %s is refused', ([text, said]) => {
    expect(() => base(text)).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(said) }),
    )
  })
})
