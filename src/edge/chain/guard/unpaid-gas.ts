import type { Address } from 'viem'
import { containersOf } from '../../../protocol/container.ts'
import type { PolicyCache, PolicySnapshot } from '../../runners/policy.ts'
import { type Worth, worthOf } from './serve.ts'

/** What an answer brings: base units for the node's wallet, for so much gas. `route`: its containers; null: it is not known. */
export type Earning = { payout: bigint; token: Address; gas: number; route: string | null }

/**
 * Gas that an answer's pay does not cover. `price`: wei for a unit of it. A base unit pays for next to nothing, and a token without a price, which whoever
 * asks may have made, for nothing at all.
 */
export function uncoveredGas(
  prices: Worth['prices'],
  { payout, token, gas, price }: Omit<Earning, 'route'> & { price: bigint },
): number {
  const worth = payout > 0n ? worthOf(prices, { amount: payout, token }) : 0n
  if (worth <= 0n) return gas
  const paid = price > 0n ? worth / price : BigInt(gas)
  return paid < BigInt(gas) ? gas - Number(paid) : 0
}

/** Whether a container of a route has a price in the token: whoever is admitted pays that, which is enough. */
export function isPriced(
  { containers }: Pick<PolicySnapshot, 'containers'>,
  { route, token }: Pick<Earning, 'route' | 'token'>,
): boolean {
  return containersOf(route ?? '').some(
    id => (containers.get(id)?.acceptedPayments?.get(token.toLowerCase()) ?? 0n) > 0n,
  )
}

/** Gas of each that is not paid for. The policy is looked at only where some of them pay too little. */
export async function readUnpaidGas(
  { policy, prices }: { policy: PolicyCache; prices: Worth['prices'] },
  { answers, price }: { answers: readonly Earning[]; price: bigint },
): Promise<number[]> {
  const unpaid = answers.map(answer => uncoveredGas(prices, { ...answer, price }))
  if (!answers.some(({ payout }, index) => payout > 0n && unpaid[index] !== 0)) return unpaid
  const snapshot = await policy.read()
  return answers.map((answer, index) =>
    answer.payout > 0n && isPriced(snapshot, answer) ? 0 : (unpaid[index] ?? 0),
  )
}
