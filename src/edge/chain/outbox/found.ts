import type { Subscription } from '../chain.ts'
import { storedCall, toStored } from '../delegated/stored.ts'
import { anchorCall } from '../next-id.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Receipt } from './receipt.ts'

/** An answer that was mined. `created`: what it was to create, and has created or found there; null: nothing. */
type Answer = { created: number | null }

/**
 * What answers were given to that were to create it, and found it there, by id: the coordinator does not compare, so its terms may be others than
 * those that were signed for. One request where there is any, which is seldom.
 * @throws RpcUnavailable when it is not told.
 */
export async function readFound(
  { chain, contracts, latest }: Step,
  { answers, receipt }: { answers: readonly Answer[]; receipt: Receipt },
): Promise<ReadonlyMap<number, Subscription>> {
  const ids = answers.flatMap(({ created }) =>
    created === null || receipt.created.includes(created) ? [] : [created],
  )
  if (ids.length === 0) return new Map()
  const at = latest.number
  const told = await chain.rpc.send(
    ids.map(id => storedCall(id, { contracts, at })),
    anchorCall(contracts, { at, ids }),
  )
  return new Map(ids.map((id, index) => [id, present(toStored(id, told[index]))]))
}

function present(subscription: Subscription | null): Subscription {
  if (subscription === null) throw new RpcUnavailable('What an answer was given to is not told.')
  return subscription
}
