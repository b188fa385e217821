import { zeroAddress } from 'viem'
import type { Status, Subscription } from '../../../src/edge/chain/chain.ts'
import { intervalAt } from '../../../src/edge/chain/interval.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'

/** A callback that pays nothing, active since 1970. */
export function subscriptionOf(rest: Partial<Subscription> & { id: number }): Subscription {
  return {
    owner: '0x00000000000000000000000000000000000000aa',
    activeAt: 0,
    period: 0,
    frequency: 1,
    redundancy: 1,
    containerId: containerIdOf('a'),
    lazy: false,
    verifier: zeroAddress,
    paymentAmount: 0n,
    paymentToken: zeroAddress,
    wallet: zeroAddress,
    expiresAt: 0,
    maxFee: 0,
    prepaid: false,
    committed: false,
    ...rest,
  }
}

/** What a chain says of it at `time`, when nobody has answered yet. */
export function statusOf(
  subscription: Subscription,
  { time, ...rest }: Partial<Omit<Status, 'subscription'>> & { time: number },
): Status {
  return {
    subscription,
    interval: intervalAt(subscription, time),
    count: 0,
    responded: false,
    wallet: null,
    input: '0x01',
    ...rest,
  }
}
