import { sql } from 'drizzle-orm'
import { toWord } from '../call.ts'
import type { Subscription } from '../chain.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import { type Tracked, type TrackedRow, trackedColumns, trackedOf } from '../tracked.ts'
import { createdIdCall } from './calls.ts'
import { isCreatedAs } from './created-as.ts'
import type { Link } from './link.ts'

/** Of one look. */
const maxAsked = 1_000

/** `links`: what was created as it was signed. `doubtful`: ids below 0, whose nonces have created something else, or what was known before. */
export type Found = { links: Link[]; doubtful: number[] }

/**
 * Which new subscriptions are those that this node was asked for over HTTP, whoever has created them. Without any of these owners' that is
 * still to be created: one statement, and no request.
 * @throws RpcUnavailable when the chain does not say.
 */
export async function findCreated(
  { db, chain, contracts, block }: Step,
  subscriptions: readonly Subscription[],
): Promise<Found> {
  const owners = JSON.stringify([...new Set(subscriptions.map(({ owner }) => owner))])
  const rows = await db.orm.all<TrackedRow>(sql`
    select ${trackedColumns} from delegations indexed by delegations_waiting
      join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription
    where delegations.chain = ${chain.config.id} and delegations.owner in (select value from json_each(${owners})) and delegations.subscription < 0
    limit ${maxAsked}`)
  const asked = rows.map(trackedOf).flatMap(toAsked)
  if (asked.length === 0) return { links: [], doubtful: [] }
  const answers = await chain.rpc.send(
    asked.map(({ subscription: { owner }, nonce }) =>
      createdIdCall({ owner, nonce }, { contracts, at: block.number }),
    ),
  )
  const byId = new Map(subscriptions.map(subscription => [subscription.id, subscription]))
  const found: Found = { links: [], doubtful: [] }
  for (const [index, { subscription }] of asked.entries()) {
    const id = toWord(answers[index])
    if (id === null)
      throw new RpcUnavailable('What was created by delegated subscriptions could not be read.')
    if (id === 0n) continue
    const created = byId.get(Number(id))
    if (created && isCreatedAs(subscription, created))
      found.links.push({ place: -subscription.id, id: created.id })
    else found.doubtful.push(subscription.id)
  }
  return found
}

function toAsked({ subscription, signed }: Tracked): { subscription: Subscription; nonce: number }[] {
  return signed === null ? [] : [{ subscription, nonce: signed.nonce }]
}
