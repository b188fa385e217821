import * as v from 'valibot'

/** Fields of what a chain is shown as. */

export const Address = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{40}$/))
export const Amount = v.pipe(v.string(), v.regex(/^\d+$/), v.description('Base units, in decimal.'))
export const Seconds = v.pipe(v.number(), v.description('Unix seconds of block time.'))
