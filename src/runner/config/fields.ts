import * as v from 'valibot'

/**
 * The reference parses its config in a lax mode: numbers and booleans may be written as strings. Messages say what to write and
 * never repeat what was there, which may be a secret.
 */
export const numeric = v.union(
  [
    v.number(),
    v.pipe(v.string(), v.trim(), v.regex(/^[+-]?\d+(\.\d+)?$/, 'must be a number'), v.transform(Number)),
  ],
  'must be a number, such as 3000 or "3000"',
)

export const integer = (least: number, most: number) =>
  v.pipe(
    numeric,
    v.integer('must be a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(most, `must be at most ${most}`),
  )

const sizeUnits: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** An amount of memory or disk, in bytes; text may have a unit, a power of 1024: `512m`, `8g`, `1.5GiB`. */
export const size = (least: number, message = 'must be a size, such as 1073741824 or "1g"') =>
  v.pipe(
    v.union([v.number(), v.string()], message),
    v.transform(value => {
      const [, count, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(String(value).trim()) ?? []
      return Math.round(Number(count) * (sizeUnits[unit?.toLowerCase() ?? ''] ?? 1))
    }),
    v.check(bytes => Number.isSafeInteger(bytes), message),
    // What is no size is not too small as well.
    v.check(bytes => !(bytes < least), `must be at least ${least} bytes`),
  )

/** A time in seconds, fractions allowed. */
export const seconds = (most: number) =>
  v.pipe(
    numeric,
    v.check(value => value > 0, 'must be more than 0 seconds'),
    v.maxValue(most, `must be at most ${most} seconds`),
  )

const spelled: Record<string, boolean> = {
  true: true,
  '1': true,
  yes: true,
  on: true,
  false: false,
  '0': false,
  no: false,
  off: false,
}

export const flag = v.union(
  [
    v.boolean(),
    v.pipe(
      v.union([v.string(), v.number()]),
      v.transform(value => spelled[String(value).toLowerCase()]),
      v.boolean(),
    ),
  ],
  'must be true or false',
)

export const text = v.string('must be text in quotes')

export const atMost = (chars: number) =>
  v.pipe(text, v.maxLength(chars, `must have at most ${chars} characters`))

export const texts = v.array(text, 'must be a list of texts, such as ["one", "two"]')

/** An amount in base units. May exceed 2^53, so it is kept as decimal text; see `parse.ts`. */
export const amount = v.pipe(
  v.union([v.number(), text], 'must be a whole number of base units'),
  v.transform(value => {
    if (typeof value === 'string') return value.trim()
    return Number.isInteger(value) ? BigInt(value).toString() : String(value)
  }),
  v.regex(/^\d{1,78}$/, 'must be a whole number of base units, 0 or more'),
)

/** No user name or password: addresses are logged, and appear in error texts. */
export const httpUrl = v.pipe(
  text,
  v.check(
    value => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
    'must be a URL that begins with http:// or https://',
  ),
  v.check(value => {
    const url = URL.parse(value)
    return !url?.username && !url?.password
  }, 'must not contain a user name or password; a container has `bearer` for that'),
)
