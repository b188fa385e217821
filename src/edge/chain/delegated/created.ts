import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import { toWord } from '../call.ts'
import type { Subscription } from '../chain.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import { createdIdCall } from './calls.ts'
import type { Link } from './link.ts'

/** Of one look. */
const maxAsked = 1_000

/**
 * Which new subscriptions are those that this node was asked for over HTTP, whoever has created them. Without any of these owners' that is
 * still to be created: one statement, and no request.
 * @throws RpcUnavailable when the chain does not say.
 */
export async function findCreated(
  { db, chain, contracts, block }: Step,
  subscriptions: readonly Subscription[],
): Promise<Link[]> {
  const owners = JSON.stringify([...new Set(subscriptions.map(({ owner }) => owner))])
  const rows = await db.orm.all<{ place: number; owner: Address; nonce: number }>(sql`
    select place, owner, nonce from delegations indexed by delegations_nonce
    where chain = ${chain.config.id} and owner in (select value from json_each(${owners})) and +subscription < 0 limit ${maxAsked}`)
  if (rows.length === 0) return []
  const answers = await chain.rpc.send(
    rows.map(delegation => createdIdCall(delegation, { contracts, at: block.number })),
  )
  return rows.flatMap(({ place }, index) => {
    const id = toWord(answers[index])
    if (id === null)
      throw new RpcUnavailable('What was created by delegated subscriptions could not be read.')
    return id > 0n ? [{ place, id: Number(id) }] : []
  })
}
