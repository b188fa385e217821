import type { Address } from 'viem'

/**
 * For whom a node works. `always`: for whoever is admitted. `profitable`: for whoever pays at least what it costs. `freeGas`: for whoever pays, and with
 * so much gas in 24 hours that is not paid for.
 */
export type Serve = { kind: 'always' } | { kind: 'profitable' } | { kind: 'free'; freeGas: number }

/** `prices`: of one base unit of a token, in units of 10^-18 wei; the chain's own coin is a wei. What is missing is worth nothing. */
export type Worth = { serve: Serve; prices: ReadonlyMap<Address, bigint>; gasGuess: number }

export const priceScale = 10n ** 18n

/** What an amount is worth, in wei, rounded down. */
export function worthOf(
  prices: Worth['prices'],
  { amount, token }: { amount: bigint; token: Address },
): bigint {
  return (amount * (prices.get(token) ?? 0n)) / priceScale
}

/** Wei that an answer brings over what it costs; below 0: it does not pay. */
export function surplusOf(
  prices: Worth['prices'],
  { payout, token, cost }: { payout: bigint; token: Address; cost: bigint },
): bigint {
  return worthOf(prices, { amount: payout, token }) - cost
}

/** Why an answer is not worth what it costs; null: it is. `cost` null: it is not told. */
export function whyUnprofitable(
  prices: Worth['prices'],
  { payout, token, cost }: { payout: bigint; token: Address; cost: bigint | null },
): Unserved | null {
  if (cost === null) return 'fee_unknown'
  return surplusOf(prices, { payout, token, cost }) < 0n ? 'unprofitable' : null
}

/** Sentences for rows. */
export const unserved = {
  fee_unknown: 'what the chain takes for its data could not be read',
  unprofitable: 'what it pays does not cover what an answer costs at the moment',
  free_gas_spent: 'the gas that nobody pays for is spent for today',
} as const
export type Unserved = keyof typeof unserved
