import { zeroAddress } from 'viem'
import { helloWorld } from './examples.ts'
import type { LocalContainer } from './prepare.ts'

/** Base units of ETH. */
export const price = 10n ** 16n
export const pricedId = 'hello-world-paid'

/** One of the examples once more, for money: contracts that pay less are not answered. None where it could not be had. */
export function pricedOf(containers: readonly LocalContainer[]): LocalContainer[] {
  const free = containers.find(({ id }) => id === helloWorld.id)
  if (!free) return []
  const acceptedPayments = { [zeroAddress]: String(price) }
  return [{ ...free, id: pricedId, description: 'Greets contracts that pay for it', acceptedPayments }]
}
