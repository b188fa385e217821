import * as v from 'valibot'
import { type Address, parseUnits, zeroAddress } from 'viem'
import { dictionary } from '../../../protocol/dictionary.ts'
import { address, integer } from '../fields.ts'
import type { Guard } from './guard.ts'
import { priceScale } from './serve.ts'

const object = 'must be an object in braces'
const count = v.optional(v.nullable(integer(1, 1_000_000_000)), null)
const gas = v.optional(v.nullable(integer(1, 1_000_000_000_000)), null)

const amount = v.pipe(
  v.string('must be a whole number in quotes'),
  v.regex(/^\d{1,78}$/, 'must be a whole number in quotes, in base units'),
  v.transform(text => BigInt(text)),
)
/** Wei for a base unit, scaled. */
const unitPrice = v.pipe(
  v.string('must be a number in quotes'),
  v.regex(/^\d{1,40}(\.\d{1,18})?$/, 'must be a number of wei in quotes, with at most 18 decimals'),
  v.transform(text => parseUnits(text, 18)),
)
const budget = v.strictObject({ free_gas_per_day: integer(0, 1_000_000_000_000) }, object)
const serve = v.union(
  [v.picklist(['always', 'profitable']), budget],
  'must be "always", "profitable" or {"free_gas_per_day": a whole number}',
)

/** An object by addresses: a key that is none is told by its place alone. */
const byAddress = <Value extends v.GenericSchema>(value: Value, message = object) =>
  v.pipe(
    dictionary(address, value, message),
    v.transform(entries => new Map(Object.entries(entries) as [Address, v.InferOutput<Value>][])),
  )
const listed = byAddress(
  v.strictObject({ max_stake: byAddress(amount) }, object),
  'must be "any", or an object in braces',
)
/** Chosen by hand: a union would not tell where in the object something is wrong. */
const verifiers = v.lazy((asked): v.LiteralSchema<'any', undefined> | typeof listed =>
  asked === 'any' ? v.literal('any') : listed,
)

/** Keys of an element of `CHAINS` that keep the node from being robbed. Left out, no verifier is trusted, and everybody else is served. */
export const guardEntries = {
  limits: v.optional(
    v.strictObject(
      {
        reverted_per_day: count,
        rejected_per_day: count,
        wasted_gas_per_day: gas,
        unpaid_gas_per_day: gas,
        dropped_per_day: count,
      },
      object,
    ),
    {},
  ),
  verifiers: v.optional(verifiers, {}),
  serve: v.optional(serve, 'always'),
  token_prices: v.optional(byAddress(unitPrice), {}),
  gas_guess: v.optional(integer(21_000, 1_000_000_000), 200_000),
  peers: v.optional(
    v.pipe(
      v.array(address, 'must be a list of addresses in brackets'),
      v.maxLength(64, 'must have at most 64 addresses'),
    ),
    [],
  ),
  stagger_blocks: v.optional(integer(1, 1_000), 1),
}

const Entries = v.object(guardEntries)

export function toGuard({ limits, verifiers, ...entry }: v.InferOutput<typeof Entries>): Guard {
  return {
    limits: {
      reverted: limits.reverted_per_day,
      rejected: limits.rejected_per_day,
      wastedGas: limits.wasted_gas_per_day,
      unpaidGas: limits.unpaid_gas_per_day,
      dropped: limits.dropped_per_day,
    },
    verifiers:
      verifiers === 'any'
        ? null
        : new Map([...verifiers].map(([verifier, { max_stake }]) => [verifier, max_stake])),
    worth: {
      serve: toServe(entry.serve),
      prices: new Map([[zeroAddress, priceScale], ...entry.token_prices]),
      gasGuess: entry.gas_guess,
    },
    stagger: { peers: entry.peers, blocks: entry.stagger_blocks },
  }
}

function toServe(asked: v.InferOutput<typeof serve>): Guard['worth']['serve'] {
  return typeof asked === 'string' ? { kind: asked } : { kind: 'free', freeGas: asked.free_gas_per_day }
}
