import { containersOf } from '../../../protocol/container.ts'
import type { Refusal } from '../../../protocol/error.ts'
import type { PolicySnapshot } from '../../runners/policy.ts'
import { admitSubscription } from '../admit.ts'
import { barredParams, barredSentence, selectBarred } from '../guard/usage.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import { type Verified, verify } from './verify.ts'

/** A request that nothing is wrong with, under a policy and by what the chain says. */
export type Judged = Verified & { snapshot: PolicySnapshot }

/**
 * By the node's policy and by the chain, in the reference's order; what no chain need be asked for is refused without. `head`: the highest
 * block that this node has looked at.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function judge(door: Door, asked: Asked, head: number): Promise<Judged | { refusal: Refusal }> {
  const { db, chain, policy } = door
  const { owner } = asked.subscription
  const excess = (await selectBarred(db, { config: chain.config, owners: [owner] })).get(owner)
  if (excess)
    return {
      refusal: { code: 'consumer_limit', error: barredSentence(excess), params: barredParams(excess) },
    }
  const read = await policy.read()
  const first = await judgeUnder(read, { door, asked, head })
  if (!('refusal' in first)) return first
  // A refusal must not come from an old policy: a container registered a second ago is known.
  const current = await policy.readCurrent()
  return current.epoch === read.epoch ? first : await judgeUnder(current, { door, asked, head })
}

type Judging = { door: Door; asked: Asked }

async function judgeUnder(
  snapshot: PolicySnapshot,
  { door, asked, head }: Judging & { head: number },
): Promise<Judged | { refusal: Refusal }> {
  const admitAt = (time: number) => admission(snapshot, { door, asked, time })
  const early = earlyRefusal(asked, { admitAt, now: door.now() })
  if (early !== null) return { refusal: early }
  const wantsSignedData = wantsSigned(snapshot, door.routes.find(snapshot, asked.subscription.containerId))
  door.noteHead(head)
  const verified = await verify(door, asked, { admitAt, wantsSignedData, head })
  return 'refusal' in verified ? verified : { ...verified, snapshot }
}

/** Times are the chain's: what has only to do with them is left to it. */
function earlyRefusal(
  { signed }: Asked,
  { admitAt, now }: { admitAt(time: number): Refusal | null; now: number },
): Refusal | null {
  const time = Math.floor(now / 1000)
  const refusal = signed.expiry > time ? admitAt(time) : null
  return refusal?.code === 'completed' ? null : refusal
}

function admission(
  snapshot: PolicySnapshot,
  { door: { chain, routes }, asked: { subscription, signed }, time }: Judging & { time: number },
): Refusal | null {
  if (snapshot.keys.size === 0) return { code: 'no_runner', error: 'No runner is enrolled with this node' }
  const route = routes.find(snapshot, subscription.containerId)
  const { config } = chain
  const refusal = admitSubscription(snapshot, { subscription, config, now: time, route, isDelegated: true })
  if (refusal === null)
    return tooLate(subscription, { expiry: signed.expiry, end: time + config.maxWaitSeconds })
  const { code, message, params } = refusal
  // Of what is not on the chain the id says nothing.
  const { subscription_id: _, ...rest } = params
  return { code: code === 'unsupported_commitments' ? 'completed' : code, error: message, params: rest }
}

/**
 * Signatures may be good for decades, and what waits takes up room: until it begins, whatever becomes of its signature. `end`: when it would be given
 * up, unless it is created.
 */
function tooLate(
  { activeAt }: Asked['subscription'],
  { expiry, end }: { expiry: number; end: number },
): Refusal | null {
  if (expiry < activeAt)
    return {
      code: 'invalid_request',
      error: 'Its signature expires before it begins',
      params: { active_at: activeAt, expiry },
    }
  if (activeAt < end) return null
  return {
    code: 'invalid_request',
    error: 'It begins too late to be kept until then',
    params: { active_at: activeAt, before: end },
  }
}

function wantsSigned({ containers }: PolicySnapshot, route: string | null): boolean {
  return route !== null && containersOf(route).some(name => containers.get(name)?.signedData === true)
}
