import { zeroAddress } from 'viem'
import { containersOf } from '../../protocol/container.ts'
import type { MergedPolicy, PolicySnapshot } from '../runners/policy.ts'
import type { ChainConfig, Subscription } from './chain.ts'
import { isOver } from './interval.ts'

/** Why a subscription is left alone. `message` and `params` are the reference's (its node page, 4.6); `code` is ours. */
export type SubscriptionRefusal = {
  code:
    | 'completed'
    | 'unsupported_containers'
    | 'not_external'
    | 'not_allowed'
    | 'unsupported_proof'
    | 'invalid_payment'
    | 'unsupported_commitments'
  message: string
  params: Record<string, unknown>
}

export type SubscriptionRequest = {
  subscription: Subscription
  config: Pick<ChainConfig, 'paymentAddress'>
  /** Unix seconds of block time. */
  now: number
  /** As the route finder tells it. */
  route: string | null
}

/** The reference's checks of a subscription, in its order. What is refused now may be admitted under another policy, unless it is completed. */
export function admitSubscription(
  { containers: known }: Pick<PolicySnapshot, 'containers'>,
  { subscription, config, now, route }: SubscriptionRequest,
): SubscriptionRefusal | null {
  const { owner, containerId, verifier, committed } = subscription
  if (isOver(subscription, now) || subscription.redundancy === 0)
    return { code: 'completed', message: 'Subscription completed', params: {} }
  const policies = route === null ? [] : policiesOf(known, route)
  const [first] = policies
  const last = policies.at(-1)
  if (!first || !last) {
    const params = { containers_hash: containerId }
    return { code: 'unsupported_containers', message: 'Container-set not supported', params }
  }
  if (!first.external) {
    const params = { first_container: first.id }
    return { code: 'not_external', message: 'First container must be external', params }
  }
  const barred = policies.find(policy => !policy.allowedAddresses.every(list => isAllowed(list, owner)))
  if (barred) {
    const params = { container: barred.id, address: owner }
    return { code: 'not_allowed', message: 'Container not allowed for address', params }
  }
  if (verifier !== zeroAddress && !last.generatesProofs) {
    const params = { container: last.id }
    return { code: 'unsupported_proof', message: 'Container does not generate proof', params }
  }
  const flaw = paymentFlaw(policies, subscription, config)
  if (flaw !== null) {
    const params = { subscription_id: subscription.id, reason: flaw }
    return { code: 'invalid_payment', message: 'Invalid payment', params }
  }
  if (committed) return { code: 'unsupported_commitments', message: 'Commitments not supported', params: {} }
  return null
}

/** Of all containers of a route; none when one of them is not known. */
function policiesOf(known: ReadonlyMap<string, MergedPolicy>, route: string): MergedPolicy[] {
  const policies = containersOf(route).map(container => known.get(container))
  return policies.every(policy => policy !== undefined) ? policies : []
}

function isAllowed(list: readonly string[], address: string): boolean {
  return list.length === 0 || list.includes(address.toLowerCase())
}

/** What is wrong with what a subscription pays; null: nothing. */
function paymentFlaw(
  policies: readonly MergedPolicy[],
  { paymentAmount, paymentToken, verifier }: Subscription,
  { paymentAddress }: SubscriptionRequest['config'],
): string | null {
  // A proof is backed with money of the node, which comes from there too.
  const pays = paymentAmount > 0n || verifier !== zeroAddress
  if (pays && paymentAddress === zeroAddress) return 'no payment address'
  let least = 0n
  for (const { acceptedPayments } of policies) {
    if (acceptedPayments === null) continue
    const price = acceptedPayments.get(paymentToken.toLowerCase())
    if (price === undefined) return 'token not accepted'
    least += price
  }
  return paymentAmount < least ? 'below minimum payment' : null
}
