import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import { toWord } from '../call.ts'
import type { Subscription } from '../chain.ts'
import { anchorCall } from '../next-id.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import { type Tracked, type TrackedRow, trackedColumns, trackedOf } from '../tracked.ts'
import { createdIdCall, highestNonceCall } from './calls.ts'
import { isCreatedAs } from './created-as.ts'
import type { Link } from './link.ts'

/** Nonces that one look asks for, unless one owner alone has more: that is looked at whole. */
const maxAsked = 1_000

/** What of an owner waited to be created, by its sum, in decimal: as ids are chosen at random, another sum means others. */
export type Waiting = { owner: Address; sum: string }

/**
 * `links`: what was created as it was signed. `doubtful`: ids below 0, whose nonces have created something else, or what was known before.
 * `left`: owners that were not looked at: the next look goes on. `waiting`: of all others, as it was looked at.
 */
export type Found = { links: Link[]; doubtful: number[]; left: ReadonlySet<Address>; waiting: Waiting[] }

type Highest = { owner: Address; nonce: number }

/**
 * Which new subscriptions are those that this node was asked for over HTTP, whoever has created them. Without any of these owners' that is
 * still to be created: one statement, and no request. What has a nonce above the highest that the chain has seen of its owner was not
 * created, and is not asked for.
 * @throws RpcUnavailable when the chain does not say.
 */
export async function findCreated(step: Step, subscriptions: readonly Subscription[]): Promise<Found> {
  const waiting = await selectWaiting(
    step,
    subscriptions.map(({ owner }) => owner),
  )
  const highest = await readHighest(
    step,
    waiting.flatMap(({ owner, sum }) => (sum === '0' ? [] : [owner])),
  )
  const { rows, left } = await selectCandidates(step, highest)
  const found: Found = {
    links: [],
    doubtful: [],
    left,
    waiting: waiting.filter(({ owner }) => !left.has(owner)),
  }
  const byId = new Map(subscriptions.map(subscription => [subscription.id, subscription]))
  for (const { signed, id } of await readCreated(step, rows)) {
    const created = byId.get(id)
    if (created && isCreatedAs(signed, created)) found.links.push({ place: -signed.id, id })
    else if (id > 0) found.doubtful.push(signed.id)
  }
  return found
}

async function selectWaiting({ db, chain }: Step, owners: readonly Address[]): Promise<Waiting[]> {
  const items = JSON.stringify([...new Set(owners)])
  return await db.orm.all<Waiting>(sql`
    select value as owner, coalesce((select cast(sum(subscription) as text) from delegations indexed by delegations_waiting
      where chain = ${chain.config.id} and owner = value and subscription < 0), '0') as sum
    from json_each(${items})`)
}

async function readHighest(
  { chain, contracts, block }: Step,
  owners: readonly Address[],
): Promise<Highest[]> {
  if (owners.length === 0) return []
  const answers = await chain.rpc.send(
    owners.map(owner => highestNonceCall(owner, { contracts, at: block.number })),
    anchorCall(contracts, { at: block.number, ids: [] }),
  )
  return owners.map((owner, index) => ({ owner, nonce: told(toWord(answers[index])) }))
}

/** Of whole owners, in the order that they came in: as many as one look asks for. */
async function selectCandidates(
  { db, chain }: Step,
  highest: readonly Highest[],
): Promise<{ rows: Tracked[]; left: ReadonlySet<Address> }> {
  if (highest.length === 0) return { rows: [], left: new Set() }
  const isAsked =
    sql.raw(`delegations.chain = ${chain.config.id} and delegations.owner = asked.value ->> 'owner'
    and delegations.subscription < 0 and delegations.nonce <= asked.value ->> 'nonce'`)
  const counts = await db.orm.all<{ owner: Address; n: number }>(sql`
    select asked.value ->> 'owner' as owner, (select count(*) from delegations indexed by delegations_waiting where ${isAsked}) as n
    from json_each(${JSON.stringify(highest)}) as asked`)
  const left = new Set<Address>()
  let asked = 0
  for (const { owner, n } of counts) {
    const isWithin = asked === 0 || asked + n <= maxAsked
    if (left.size === 0 && isWithin) asked += n
    else left.add(owner)
  }
  if (asked === 0) return { rows: [], left }
  const items = JSON.stringify(highest.filter(({ owner }) => !left.has(owner)))
  const rows = await db.orm.all<TrackedRow>(sql`
    select ${trackedColumns} from json_each(${items}) as asked
      cross join delegations indexed by delegations_waiting on ${isAsked}
      cross join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription`)
  return { rows: rows.map(trackedOf), left }
}

/** `id`: what the nonce has created; 0: nothing. */
async function readCreated(
  { chain, contracts, block }: Step,
  rows: readonly Tracked[],
): Promise<{ signed: Subscription; id: number }[]> {
  const asked = rows.flatMap(({ subscription, signed }) =>
    signed === null ? [] : [{ subscription, nonce: signed.nonce }],
  )
  if (asked.length === 0) return []
  const answers = await chain.rpc.send(
    asked.map(({ subscription: { owner }, nonce }) =>
      createdIdCall({ owner, nonce }, { contracts, at: block.number }),
    ),
    anchorCall(contracts, { at: block.number, ids: [] }),
  )
  return asked.map(({ subscription }, index) => ({
    signed: subscription,
    id: told(toWord(answers[index])),
  }))
}

function told(word: bigint | null): number {
  if (word === null)
    throw new RpcUnavailable('What was created by delegated subscriptions could not be read.')
  return Number(word)
}
