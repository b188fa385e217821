import { sha256 } from '@noble/hashes/sha2'
import { bytesToHex } from '@noble/hashes/utils'
import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import type { Hex } from 'viem'
import { containersOf } from '../../../protocol/container.ts'
import type { DelegatedRequest } from '../../../protocol/delegated.ts'
import { toDelegation } from '../../../protocol/delegation.ts'
import type { Refusal } from '../../../protocol/error.ts'
import { digestOf } from '../../../protocol/typed-data.ts'
import { describe } from '../../log.ts'
import type { PolicySnapshot } from '../../runners/policy.ts'
import { admitSubscription } from '../admit.ts'
import type { Block, Contracts } from '../chain.ts'
import { consider } from '../consider.ts'
import type { RouteFinder } from '../containers.ts'
import { intervalAt } from '../interval.ts'
import { begin, settle } from '../settle.ts'
import { simulateDummies } from '../simulate.ts'
import type { Step } from '../step.ts'
import { insertSubscriptions } from '../store.ts'
import { noTerms } from '../subscription.ts'
import { tryPlan } from '../trial.ts'
import { verdictOn } from '../verdict.ts'
import { linkSubscription } from './link.ts'
import {
  forgetDelegated,
  hasRoom,
  insertDelegated,
  isUnmoved,
  type Known,
  selectDelegated,
  selectNewestJob,
  selectNextId,
} from './store.ts'
import { type Asked, verify } from './verify.ts'

/** Where requests for one chain come in. */
export type Door = Omit<Step, 'contracts' | 'block' | 'latest' | 'gapSeconds'> & {
  contracts: Contracts
  routes: RouteFinder
  /** Unix milliseconds of this machine. */
  now(): number
}

/** `subscriptionId`: the chain's; null: it has none yet. `interval`: the one that is open; 0: none. */
export type TakenOn = {
  id: string
  chainId: number
  subscriptionId: number | null
  job: string | null
  interval: number
  replayed: boolean
}

/** First seen in no block: no reorganisation undoes it. */
const unseen = { number: 0, hash: '0x' as Hex }
/** Others that take the same nonce win a race each, and so does a look at the chain. */
const maxRaces = 5
const encoder = new TextEncoder()

/**
 * Takes on a subscription that was signed for, or says why not: verified before it is answered, stored with its data before anything is
 * begun, and begun at once if it is open. The same again is answered the same. `data`: its JSON text, byte for byte.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function accept(
  door: Door,
  { request, data }: { request: DelegatedRequest; data: string },
): Promise<TakenOn | { refusal: Refusal }> {
  const asked = toAsked(door, request, data)
  const dataBytes = encoder.encode(data)
  const fingerprint = bytesToHex(sha256(dataBytes))
  asked.signed.dataBytes = dataBytes.byteLength
  for (let race = 0; race < maxRaces; race += 1) {
    const { owner } = asked.subscription
    const known = await selectDelegated(door.db, {
      chain: door.chain.config.id,
      owner,
      nonce: asked.signed.nonce,
    })
    const standing = known === null ? 'new' : standingOf(known, { asked, fingerprint })
    if (known !== null && standing === 'same') return await told(door, known, { asked, replayed: true })
    if (typeof standing === 'object') return { refusal: standing }
    const taken = await takeOn(door, { asked, fingerprint, known })
    if (taken !== null) return taken
  }
  return { refusal: { code: 'chain_unavailable', error: 'The chain went on meanwhile, again and again' } }
}

function toAsked(
  { chain, contracts }: Door,
  { subscription, signature, data_signature }: DelegatedRequest,
  data: string,
): Asked {
  const delegation = toDelegation(subscription, signature)
  const { nonce, expiry, v, r, s } = signature
  const { expiresAt, maxFee, prepaid, committed } = noTerms
  return {
    subscription: {
      id: -Math.floor(1 + Math.random() * 2 ** 45),
      ...delegation.sub,
      expiresAt,
      maxFee,
      prepaid,
      committed,
    },
    signed: { nonce, expiry, v, r, s, dataBytes: 0, linkedBlock: null },
    digest: digestOf({ chainId: chain.config.id, coordinator: contracts.coordinator }, delegation),
    data,
    dataSignature: data_signature,
  }
}

/** What a request is to the one that its nonce has: the same; in its place, since nothing has come of that one; or a mistake. */
function standingOf(
  known: Known,
  { asked, fingerprint }: { asked: Asked; fingerprint: string },
): 'same' | 'instead' | Refusal {
  const { owner } = asked.subscription
  const { nonce, r, s } = asked.signed
  const isSame = known.digest === asked.digest && known.fingerprint === fingerprint
  const isSigned = known.r === r && known.s === s
  if (isSame && (isSigned || !known.isDead)) return 'same'
  if (known.isDead) return 'instead'
  if (known.digest !== asked.digest)
    return {
      code: 'nonce_used',
      error: 'The nonce was taken for another subscription',
      params: { owner, nonce },
    }
  // Whoever has the signature can send it with data of their own, until the signer has signed for some.
  if (asked.dataSignature !== null && !known.dataSigned && !known.isBegun && known.subscription < 0)
    return 'instead'
  return {
    code: 'data_conflict',
    error: 'It was taken on with other data',
    params: { owner, nonce },
  }
}

type Taking = { asked: Asked; fingerprint: string; known: Known | null }

/** @returns null when somebody else has taken the nonce meanwhile, or a look has seen what this one has not. */
async function takeOn(door: Door, taking: Taking): Promise<TakenOn | { refusal: Refusal } | null> {
  const { asked } = taking
  const nextId = await selectNextId(door.db, door.chain.config.id)
  const judged = await judge(door, asked)
  if ('refusal' in judged) return judged
  const { snapshot, block, createdId } = judged
  const stored = await store(door, { ...taking, ...judged, nextId })
  if (stored === 'full') return { refusal: { code: 'queue_full', error: 'Too many subscriptions wait' } }
  if (stored === null) return null
  if (createdId === null) await beginNow(door, { asked, block, snapshot })
  return await told(door, stored, { asked, replayed: false })
}

type Judged = {
  snapshot: PolicySnapshot
  block: Block
  createdId: number | null
  dataSigned: boolean
}

async function judge(door: Door, asked: Asked): Promise<Judged | { refusal: Refusal }> {
  const { policy, chain, contracts, routes, now } = door
  const judged = async (snapshot: PolicySnapshot) => {
    const admitAt = (time: number) => admission(snapshot, { asked, config: chain.config, time, routes })
    const early = earlyRefusal(asked, { admitAt, now: now() })
    if (early !== null) return { refusal: early }
    const wantsSignedData = wantsSigned(snapshot, routes.find(snapshot, asked.subscription.containerId))
    const verified = await verify({ chain, contracts }, asked, { admitAt, wantsSignedData })
    return 'refusal' in verified ? verified : { ...verified, snapshot }
  }
  const read = await policy.read()
  const first = await judged(read)
  if (!('refusal' in first)) return first
  // A refusal must not come from an old policy: a container registered a second ago is known.
  const current = await policy.readCurrent()
  return current.epoch === read.epoch ? first : await judged(current)
}

/** What no chain need be asked for. Times are the chain's: what has only to do with them is left to it. */
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
  {
    asked: { subscription },
    config,
    time,
    routes,
  }: { asked: Asked; config: Door['chain']['config']; time: number; routes: RouteFinder },
): Refusal | null {
  if (snapshot.keys.size === 0) return { code: 'no_runner', error: 'No runner is enrolled with this node' }
  const route = routes.find(snapshot, subscription.containerId)
  const refusal = admitSubscription(snapshot, { subscription, config, now: time, route, isDelegated: true })
  if (refusal === null) return null
  const { code, message, params } = refusal
  // Of what is not on the chain the id says nothing.
  const { subscription_id: _, ...rest } = params
  return { code: code === 'unsupported_commitments' ? 'completed' : code, error: message, params: rest }
}

function wantsSigned({ containers }: PolicySnapshot, route: string | null): boolean {
  return route !== null && containersOf(route).some(name => containers.get(name)?.signedData === true)
}

type Storing = Taking & Judged & { nextId: number | null }

/** What is stored is there whatever becomes of this request. `full`: its owner, or the chain, has too many that wait. */
async function store(
  { db, chain, routes, jobs: { bounds } }: Door,
  { asked, fingerprint, known, snapshot, block, createdId, dataSigned, nextId }: Storing,
): Promise<Stored | 'full' | null> {
  const { subscription, signed, digest, data } = asked
  const { id: chainId } = chain.config
  const place = -subscription.id
  const { owner } = subscription
  if (!(await hasRoom(db, { chain: chainId, owner, dataBytes: signed.dataBytes, bounds }))) return 'full'
  const id = uuidv7()
  const row = {
    place,
    id,
    chain: chainId,
    owner,
    digest,
    fingerprint,
    dataSigned,
    ...signed,
    subscription: subscription.id,
    data,
  }
  const court = { snapshot, config: chain.config, time: block.time, routes, isDelegated: true }
  const verdict = verdictOn({ subscription, interval: intervalAt(subscription, block.time), count: 0 }, court)
  const guard = sql`exists (select 1 from delegations where place = ${place} and subscription = ${subscription.id})`
  const isCurrent = isUnmoved(chainId, nextId)
  const [, , , inserted] = await db.orm.batch([
    ...forgetDelegated(db, { chain: chainId, place: known?.place ?? 0, guard: isCurrent }),
    insertDelegated(db, row, isCurrent),
    insertSubscriptions(db, {
      chain: chainId,
      rows: [{ subscription, verdict }],
      epoch: snapshot.epoch,
      block: { ...block, ...unseen },
      guard,
    }),
    ...(createdId === null
      ? []
      : linkSubscription(db, { chain: chainId, link: { place, id: createdId }, block, guard: sql`true` })),
  ])
  return inserted.length === 1 ? { place, id } : null
}

type Stored = { place: number; id: string }

/** As the schedule does it, for this one alone. What fails is done by the schedule. */
async function beginNow(
  door: Door,
  { asked, block, snapshot }: { asked: Asked; block: Block; snapshot: PolicySnapshot },
): Promise<void> {
  const { subscription, signed } = asked
  const interval = intervalAt(subscription, block.time)
  if (interval === 0) return
  const step: Step = { ...door, block, latest: block, gapSeconds: 1 }
  const status = { subscription, interval, count: 0, responded: false, wallet: null, input: null }
  const row = {
    subscription,
    dueAt: block.time,
    nextInterval: interval,
    tries: 0,
    seenHash: unseen.hash,
    route: null,
    signed,
  }
  try {
    const considered = await consider(step, {
      rows: [row],
      court: { snapshot, config: door.chain.config, time: block.time, routes: door.routes },
      readStatuses: async () => ({ statuses: new Map(), failed: [] }),
      known: new Map(),
      nextId: 0,
      // Whoever pays, is looked at again, for what is in the wallet.
      ...(subscription.paymentAmount === 0n && {
        uncreated: new Map([[subscription.id, { kind: 'there', status }]]),
      }),
    })
    const plan = await tryPlan(step, considered, requests => simulateDummies(step, requests))
    await settle(step, { plan, epoch: snapshot.epoch })
    await begin(step, { plan, epoch: snapshot.epoch })
  } catch (error) {
    door.log.warn('Not begun at once', { chain: door.chain.config.id, error: describe(error) })
  }
}

async function told(
  { db, chain, now }: Door,
  { place, id }: Stored,
  { asked, replayed }: { asked: Asked; replayed: boolean },
): Promise<TakenOn> {
  const { id: chainId } = chain.config
  const newest = await selectNewestJob(db, { chain: chainId, place })
  return {
    id,
    chainId,
    subscriptionId: newest && newest.id > 0 ? newest.id : null,
    job: newest?.job ?? null,
    interval: newest?.interval ?? intervalAt(asked.subscription, Math.floor(now() / 1000)),
    replayed,
  }
}
