import type { Address } from 'viem'

/**
 * For whom a node works. `always`: for whoever is admitted. `profitable`: for whoever pays more than the gas. `freeGas`: for whoever pays, and with
 * so much gas in 24 hours for those who do not.
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

/** Whether an answer brings at least what its gas costs. `feePerGas`: wei. */
export function isProfitable(
  prices: Worth['prices'],
  answer: { payout: bigint; token: Address; gas: number; feePerGas: bigint },
): boolean {
  const { payout, token, gas, feePerGas } = answer
  return worthOf(prices, { amount: payout, token }) >= BigInt(gas) * feePerGas
}

/** Sentences for rows. */
export const unserved = {
  unprofitable: 'what it pays does not cover the gas at the moment',
  free_gas_spent: 'the gas for answers that pay nothing is spent for today',
} as const
export type Unserved = keyof typeof unserved
