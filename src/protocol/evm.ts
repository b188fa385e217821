import * as v from 'valibot'

/**
 * Values of the EVM as JSON says them. Whole numbers may be `bigint`, as `parseJson` reads them; a `number` that has lost digits is refused.
 * Messages say what to write, and never repeat what was there.
 */

type Whole = number | bigint

function integer(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`
  return v.pipe(
    v.custom<Whole>(value => isWhole(value) && value >= least && value <= most, message),
    v.transform(value => Number(value)),
  )
}

/** A whole number of so many bits. */
export function uint(bits: 8 | 16 | 32) {
  return integer(0, 2 ** bits - 1)
}

/** EIP-155, as far as JavaScript counts. */
export const ChainId = integer(1, Number.MAX_SAFE_INTEGER)

const word = 2n ** 256n

/** What fills a word: also as text, since few languages write it as a number. */
export const Uint256 = v.pipe(
  v.custom<Whole | string>(value => {
    const whole = toWhole(value)
    return whole !== null && whole >= 0n && whole < word
  }, 'must be a whole number from 0 to 2^256 - 1 with all its digits, or the same as text: decimal, or 0x and hexadecimal digits'),
  v.transform(value => BigInt(value)),
)

/** 20 bytes in lower case. Checksums are not looked at, as the reference does not; nor is `0x` asked for. */
export const Address = v.pipe(
  v.custom<string>(value => isHex(value, 40), 'must be an address: 0x and 40 hexadecimal digits'),
  v.transform(toHex),
)

/** 32 bytes in lower case, with or without `0x`. */
export const Bytes32 = v.pipe(
  v.custom<string>(value => isHex(value, 64), 'must be 32 bytes: 0x and 64 hexadecimal digits'),
  v.transform(toHex),
)

/** 65 bytes as wallets give them: r, s, v. In lower case. */
export const SignatureBytes = v.pipe(
  v.custom<string>(value => isHex(value, 130), 'must be a signature: 0x and 130 hexadecimal digits'),
  v.transform(toHex),
)

export const Bool = v.boolean('must be true or false')

/** As 32 bytes. */
export function wordOf(value: bigint): `0x${string}` {
  return `0x${value.toString(16).padStart(64, '0')}`
}

function isWhole(value: unknown): value is Whole {
  return typeof value === 'bigint' || Number.isSafeInteger(value)
}

function toWhole(value: unknown): bigint | null {
  if (isWhole(value)) return BigInt(value)
  // Bounded first: what BigInt takes for long texts grows faster than they do.
  const isNumeral = typeof value === 'string' && /^(0x[0-9a-f]{1,64}|\d{1,78})$/i.test(value)
  return isNumeral ? BigInt(value) : null
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === 'string' && /^(0x)?[0-9a-f]+$/i.test(value) && bare(value).length === digits
}

function toHex(text: string): `0x${string}` {
  return `0x${bare(text)}`
}

function bare(text: string): string {
  const lower = text.toLowerCase()
  return lower.startsWith('0x') ? lower.slice(2) : lower
}
