import { zeroAddress } from 'viem'
import type { Subscription } from './chain.ts'
import type { Obstacle } from './decide.ts'
import type { NodeWallet } from './node-wallet.ts'

/** What of the node's own stands in the way of being paid, by subscription: what pays could not be, into a wallet that is not the factory's. */
export function ownObstacles(
  { isValid }: NodeWallet,
  subscriptions: readonly Subscription[],
): ReadonlyMap<number, Obstacle> {
  return isValid
    ? new Map()
    : new Map(subscriptions.filter(needsWallet).map(({ id }) => [id, 'payment_wallet']))
}

/** As the admission has it: a proof is backed with money of the node, which comes from there too. */
function needsWallet({ paymentAmount, verifier }: Subscription): boolean {
  return paymentAmount > 0n || verifier !== zeroAddress
}
