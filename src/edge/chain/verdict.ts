import type { PolicySnapshot } from '../runners/policy.ts'
import { admitSubscription, type SubscriptionRefusal } from './admit.ts'
import type { ChainConfig, Status } from './chain.ts'
import type { RouteFinder } from './containers.ts'
import { endingOf } from './ending.ts'

/** What is to become of a subscription: columns of its row. */
export type Verdict = {
  state: 'active' | 'refused' | 'ended'
  dueAt: number | null
  nextInterval: number
  reason: string | null
  message: string | null
  params: Record<string, unknown> | null
  route: string | null
}

/** What a verdict is passed by. `time`: unix seconds of block time. */
export type Court = {
  snapshot: PolicySnapshot
  config: Pick<ChainConfig, 'paymentAddress' | 'guard'>
  time: number
  routes: RouteFinder
  /** It came over HTTP. */
  isDelegated?: boolean
}

/** Of a subscription that is seen for the first time, or once more under another policy. */
export function verdictOn(
  status: Pick<Status, 'subscription' | 'interval' | 'count'>,
  { snapshot, config, time, routes, isDelegated = false }: Court,
): Verdict {
  const { subscription, interval } = status
  const ending = endingOf(status, time)
  if (ending !== null)
    return { ...nothing, state: 'ended', reason: ending, message: 'Subscription completed' }
  const route = routes.find(snapshot, subscription.containerId)
  const refusal = admitSubscription(snapshot, { subscription, config, now: time, route, isDelegated })
  if (refusal !== null) return { ...refused(refusal), route }
  const dueAt = interval > 0 ? time : Math.max(time, subscription.activeAt)
  return { ...nothing, state: 'active', dueAt, nextInterval: Math.max(1, interval), route }
}

const nothing = { dueAt: null, nextInterval: 1, reason: null, message: null, params: null, route: null }

function refused({ code, message, params }: SubscriptionRefusal): Verdict {
  return { ...nothing, state: 'refused', reason: code, message, params }
}
