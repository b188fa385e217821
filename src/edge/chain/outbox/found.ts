import type { Subscription } from '../chain.ts'
import { storedCall, toStored } from '../delegated/stored.ts'
import { anchorCall } from '../next-id.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Fate } from './fate.ts'
import type { Receipt } from './receipt.ts'

/**
 * What answers were given to that may not be what they were computed for, by id: one that was to create it, and found it there, as the coordinator does
 * not compare; one whose row was given up. Its terms move the money. One request where there is any, which is seldom.
 * @throws RpcUnavailable when it is not told.
 */
export async function readFound(
  { chain, contracts, latest }: Step,
  { fates, receipt }: { fates: readonly Fate[]; receipt: Receipt },
): Promise<ReadonlyMap<number, Subscription>> {
  const ids = fates.flatMap(({ answer, created, interval }) => {
    if (answer === null) return []
    const isFound = created !== null && !receipt.created.includes(created)
    return isFound || interval < 0 ? [answer.subscription] : []
  })
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
