import { invalid } from '../error.ts'

/** What a unit is, as a power of ten of wei: all that the reference's client knows (eth-utils). */
const units = new Map([
  ...(['wei'] as const).map(name => [name, 0] as const),
  ...(['kwei', 'babbage', 'femtoether'] as const).map(name => [name, 3] as const),
  ...(['mwei', 'lovelace', 'picoether'] as const).map(name => [name, 6] as const),
  ...(['gwei', 'shannon', 'nanoether', 'nano'] as const).map(name => [name, 9] as const),
  ...(['szabo', 'microether', 'micro'] as const).map(name => [name, 12] as const),
  ...(['finney', 'milliether', 'milli'] as const).map(name => [name, 15] as const),
  ...(['ether'] as const).map(name => [name, 18] as const),
  ...(['kether', 'grand'] as const).map(name => [name, 21] as const),
  ...(['mether'] as const).map(name => [name, 24] as const),
  ...(['gether'] as const).map(name => [name, 27] as const),
  ...(['tether'] as const).map(name => [name, 30] as const),
])
/** A whole one of whichever token is meant: what that is, the token says. */
const whole = ['token', 'tokens']

const pattern = /^(\d{1,78})(?:\.(\d{1,78}))?(?:e([+-]?\d{1,2}))?(?:\s+([a-z]{1,16}))?$/i
const most = 2n ** 256n - 1n

/** A number without a float: `digits` times ten to the power of `exponent`. `unit`: the power of ten that it is in; `token`: the token's own. */
export type Amount = { text: string; digits: bigint; exponent: number; unit: number | 'token' }

/**
 * An amount as people write it: `1000`, in base units; `0.1 ether`, `5 gwei`, in powers of ten, of any token; `1.5 token`, in the token's own unit.
 * @throws InfernetError `invalid_request`.
 */
export function parseAmount(text: string): Amount {
  const [, integer, fraction = '', exponent = '0', unit = 'wei'] = pattern.exec(text.trim()) ?? []
  if (integer === undefined)
    throw invalid(`Not an amount: ${text.slice(0, 64)}. Write 1000 (wei), "0.1 ether" or "1.5 token"`)
  const name = unit.toLowerCase()
  const power = whole.includes(name) ? 'token' : units.get(name as 'wei')
  if (power === undefined)
    throw invalid(`Not a unit: ${unit}. Known are token, ${[...units.keys()].join(', ')}`)
  return {
    text,
    digits: BigInt(integer + fraction),
    exponent: Number(exponent) - fraction.length,
    unit: power,
  }
}

/**
 * In base units. `decimals`: the token's; null: it does not tell them.
 * @throws InfernetError `invalid_request` when there is no such amount of it.
 */
export function toBase({ text, digits, exponent, unit }: Amount, decimals: number | null): bigint {
  const power = unit === 'token' ? decimals : unit
  if (power === null)
    throw invalid(`The token does not tell its decimals: ${text} has to be written in base units`)
  const shift = exponent + power
  const scale = 10n ** BigInt(Math.abs(shift))
  if (shift < 0 && digits % scale !== 0n) throw invalid(`${text} is not a whole number of base units`)
  const base = shift < 0 ? digits / scale : digits * scale
  if (base > most) throw invalid(`${text} is more than there can be of anything`)
  return base
}

/** In the token's own unit, with all its digits: `1.5`. */
export function inUnits(base: bigint, decimals: number): string {
  const digits = String(base).padStart(decimals + 1, '0')
  const at = digits.length - decimals
  const fraction = digits.slice(at).replace(/0+$/, '')
  return fraction === '' ? digits.slice(0, at) : `${digits.slice(0, at)}.${fraction}`
}
