import { zeroAddress } from 'viem'
import { containersOf } from '../../protocol/container.ts'
import type { MergedPolicy, PolicySnapshot } from '../runners/policy.ts'
import type { ChainConfig, Subscription } from './chain.ts'
import { type VerifierFlaw, verifierFlaw } from './guard/verifiers.ts'
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
    | VerifierFlaw['code']
  message: string
  params: Record<string, unknown>
}

export type SubscriptionRequest = {
  subscription: Subscription
  config: Pick<ChainConfig, 'paymentAddress' | 'guard'>
  /** Unix seconds of block time. */
  now: number
  /** As the route finder tells it. */
  route: string | null
  /** It came over HTTP: other owners may be allowed, and the reference's order is another. */
  isDelegated?: boolean
}

/** The reference's checks of a subscription, in its order. What is refused now may be admitted under another policy, unless it is completed. */
export function admitSubscription(
  { containers: known }: Pick<PolicySnapshot, 'containers'>,
  { subscription, config, now, route, isDelegated = false }: SubscriptionRequest,
): SubscriptionRefusal | null {
  const { containerId, committed } = subscription
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
  const unallowed = notAllowed(policies, { subscription, isDelegated })
  const unproven = unsupportedProof(last, subscription)
  const refusal = isDelegated ? (unproven ?? unallowed) : (unallowed ?? unproven)
  if (refusal !== null) return refusal
  const flaw = paymentFlaw(policies, subscription, config)
  if (flaw !== null) {
    const params = { subscription_id: subscription.id, reason: flaw }
    return { code: 'invalid_payment', message: 'Invalid payment', params }
  }
  const untrusted = verifierFlaw(config.guard.verifiers, subscription)
  if (untrusted !== null) return untrusted
  if (committed) return { code: 'unsupported_commitments', message: 'Commitments not supported', params: {} }
  return null
}

function notAllowed(
  policies: readonly MergedPolicy[],
  { subscription: { owner }, isDelegated }: { subscription: Subscription; isDelegated: boolean },
): SubscriptionRefusal | null {
  const barred = policies.find(policy => {
    const lists = isDelegated ? policy.allowedDelegateAddresses : policy.allowedAddresses
    return !lists.every(list => isAllowed(list, owner))
  })
  if (!barred) return null
  const params = { container: barred.id, address: owner }
  return { code: 'not_allowed', message: 'Container not allowed for address', params }
}

function unsupportedProof(last: MergedPolicy, { verifier }: Subscription): SubscriptionRefusal | null {
  if (verifier === zeroAddress || last.generatesProofs) return null
  const params = { container: last.id }
  return { code: 'unsupported_proof', message: 'Container does not generate proof', params }
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
