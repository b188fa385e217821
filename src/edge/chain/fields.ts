import * as v from 'valibot'
import { type Address, isAddress, parseGwei } from 'viem'

/** Fields of `CHAINS`. Messages say what to write, and never repeat what was there. */

export const integer = (least: number, most: number) => {
  const message = `must be a whole number from ${least} to ${most}`
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message))
}

/** In lower case, as they are compared everywhere. */
export const address = v.pipe(
  v.string('must be an address'),
  v.check(text => isAddress(text), 'must be an address: 0x and 40 hexadecimal digits, with a right checksum'),
  v.transform(text => text.toLowerCase() as Address),
)

const maxGwei = 1_000_000_000

/** An amount of gwei, as a number or as text, in wei. */
export const gwei = v.pipe(
  v.union([v.number(), v.string()], 'must be a number of gwei'),
  v.transform(amount => (typeof amount === 'number' ? decimal(amount) : amount)),
  v.regex(/^\d{1,10}(\.\d{1,9})?$/, 'must be a number of gwei, 0 or more, with at most 9 decimals'),
  v.check(text => Number(text) <= maxGwei, `must be at most ${maxGwei} gwei`),
  v.transform(text => parseGwei(text)),
)

/** Without an exponent, and without what a wei cannot be divided into. */
function decimal(amount: number): string {
  const text = amount.toFixed(9)
  return Number(text) === amount ? text : String(amount)
}
