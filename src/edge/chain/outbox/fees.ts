import type { GasPolicy } from '../chain.ts'

/** Wei for a unit of gas. */
export type Fees = { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }

/** `suggested`: the priority fee that the chain's node suggests. */
type Asked = { baseFee: bigint; suggested: bigint }

/** Room for the base fee to rise while the transaction waits, in eighths of it: it doubles in six full blocks. */
const room = 8n
/** For as long as a block, which is what there must be. */
const leastRoom = 1n

/** What the market asks for a unit of gas: the base fee, and the tip that is suggested, or at least the policy's. */
export function marketPrice(
  { minPriorityFeePerGas: least }: GasPolicy,
  { baseFee, suggested }: Asked,
): bigint {
  return baseFee + (suggested > least ? suggested : least)
}

/** What to offer at a base fee; null: the market is above the ceiling. */
export function offer(policy: GasPolicy, market: Asked): Fees | null {
  return offerWith(room, policy, market)
}

function offerWith(
  eighths: bigint,
  { maxFeePerGas: ceiling, minPriorityFeePerGas }: GasPolicy,
  { baseFee, suggested }: Asked,
): Fees | null {
  const wanted = suggested > minPriorityFeePerGas ? suggested : minPriorityFeePerGas
  if (baseFee + wanted > ceiling) return null
  const most = baseFee + (baseFee * eighths) / 8n + wanted
  return { maxFeePerGas: most < ceiling ? most : ceiling, maxPriorityFeePerGas: wanted }
}

/** With another ceiling, where that is lower. Wei for a unit of gas; null: with its own. */
export function within(policy: GasPolicy, most: bigint | null): GasPolicy {
  return most === null || most >= policy.maxFeePerGas ? policy : { ...policy, maxFeePerGas: most }
}

/** What a unit of gas would bring whoever mines it now, the base fee included. */
export function offered(
  { maxFeePerGas, maxPriorityFeePerGas }: Fees,
  { baseFee }: Pick<Asked, 'baseFee'>,
): bigint {
  const most = baseFee + maxPriorityFeePerGas
  return most < maxFeePerGas ? most : maxFeePerGas
}

/** Whether so much for a unit of gas, in wei, is less than the market asks. */
export function isShort(policy: GasPolicy, most: bigint, market: Asked): boolean {
  return most < marketPrice(policy, market)
}

/**
 * What replaces a transaction that is not mined: both fees higher by the policy's percentage, rounded up, and at least what the market asks.
 * null: the ceiling does not let it be replaced.
 */
export function bumped(policy: GasPolicy, before: Fees, market: Asked): Fees | null {
  const priority = raised(before.maxPriorityFeePerGas, policy.bumpPercent)
  const least = raised(before.maxFeePerGas, policy.bumpPercent)
  const wanted = offer(policy, market)
  const maxPriorityFeePerGas =
    wanted && wanted.maxPriorityFeePerGas > priority ? wanted.maxPriorityFeePerGas : priority
  const maxFeePerGas = wanted && wanted.maxFeePerGas > least ? wanted.maxFeePerGas : least
  return maxFeePerGas > policy.maxFeePerGas || maxPriorityFeePerGas > maxFeePerGas
    ? null
    : { maxFeePerGas, maxPriorityFeePerGas }
}

/**
 * What is offered in place of what endpoints find too dear: what the market asks, with less room where that alone is not less by the policy's
 * percentage. null: it asks no less.
 */
export function lowered(policy: GasPolicy, before: Fees, market: Asked): Fees | null {
  const offers = [room, leastRoom].map(eighths => offerWith(eighths, policy, market))
  return (
    offers.find(
      fees => fees !== null && raised(fees.maxFeePerGas, policy.bumpPercent) <= before.maxFeePerGas,
    ) ?? null
  )
}

/**
 * For what has to be replaced whether the ceiling lets it or not: the ceiling. Endpoints take it if they have forgotten what was before; else
 * that is mined, or is in the way no longer than it takes the market.
 */
export function atCeiling({ maxFeePerGas }: GasPolicy, before: Fees): Fees {
  const { maxPriorityFeePerGas } = before
  return {
    maxFeePerGas,
    maxPriorityFeePerGas: maxPriorityFeePerGas < maxFeePerGas ? maxPriorityFeePerGas : maxFeePerGas,
  }
}

/** `percent` may have decimals: thousandths of it count. Nothing rises too, or a fee of nothing could never be replaced. */
function raised(fee: bigint, percent: number): bigint {
  const thousandths = BigInt(Math.ceil(percent * 1000))
  const scaled = fee * (100_000n + thousandths)
  const up = (scaled + 99_999n) / 100_000n
  return up > fee ? up : fee + 1n
}
