import * as v from 'valibot'
import { routeOf } from '../../protocol/container.ts'
import { type DelegatedCreated, isDelegated } from '../../protocol/delegated.ts'
import type { Refusal } from '../../protocol/error.ts'
import { JobRequest } from '../../protocol/job.ts'
import { plainRequires } from '../../protocol/labels.ts'
import { limits } from '../../protocol/limits.ts'
import { addToRing, type Ring } from '../bell/bell.ts'
import { atOnce } from '../chain/at-once.ts'
import { queueBoundsOf } from '../config.ts'
import type { Context as App } from '../context.ts'
import { type Admission, type JobTerms, type NewJob, readAdmission } from '../jobs/enqueue.ts'
import type { Enqueuer } from '../jobs/enqueuer.ts'
import { isLane, maxOwnedLanes } from '../jobs/lanes.ts'
import { type Once, selectById, selectByKey } from '../jobs/once.ts'
import { abandonReceive, beginReceive, completeReceive, receivePart } from '../jobs/receive.ts'
import { createAdmission, isOnline } from '../runners/admit.ts'
import type { TakenOn } from './delegated.ts'
import type { InputStore } from './input.ts'
import type { Item } from './intake.ts'
import type { Sender } from './sender.ts'

/**
 * What became of an item: an id, or a refusal. `offline`: queued, but no runner that could serve it was heard of lately. `replayed`: it
 * was made by an earlier request.
 */
export type Outcome = Made | Refusal

export type Made = {
  id: string
  offline: boolean
  replayed: boolean
  /** Of a stream that this request made. */
  stream: { container: string; expiryMs: number; unreadMs: number | null } | null
  /** Of a subscription that was taken on, whose id this is. */
  delegated?: DelegatedCreated
}

/** A request that makes its jobs once: under a key, or as a job whose id its maker chose. */
export type Identity = { fingerprint: string } & ({ key: string } | { id: string })

export type CreateOptions = {
  items: readonly Item[]
  sender: Sender
  enqueue: Enqueuer
  identity: Identity | null
  /** The client waits for the end. */
  watched: boolean
  /** Its output is streamed. */
  streamed: boolean
  endpoint: 'openai' | null
  /** Nothing but delegated subscriptions is taken. */
  delegatedOnly: boolean
  /** Jobs, by route, are on their way to the database; not each time, and not for sure. */
  onUnderway?: ((expected: Ring) => void) | undefined
  /** Takes on an item that is a delegated subscription. */
  takeOn(item: Item): Promise<TakenOn | Refusal>
}

/** How often a policy that moves on between admission and storing is read again. */
const maxRounds = 3

type Candidate = { item: Item; request: JobRequest }

/**
 * Where the inputs of one request's jobs go while they arrive. The first holds room for all, since a body is no larger, however many it
 * carries.
 */
export function inputStore({ db, config }: App, owner: string): InputStore {
  let isHeld = false
  return {
    async begin(id) {
      const heldBytes = isHeld ? 0 : limits.bodyBytes
      const begun = await beginReceive(db, { id, owner, bounds: queueBoundsOf(config), heldBytes })
      isHeld ||= begun
      return begun
    },
    part: part => receivePart(db, part),
    abandon: id => abandonReceive(db, id),
  }
}

/**
 * Judges the items of a body one by one and stores those that pass. An id is in the answer only if the job is stored.
 * @returns an outcome for each item, in order, and the jobs stored by route.
 */
export async function createJobs(
  app: App,
  options: CreateOptions,
): Promise<{ outcomes: Outcome[]; stored: Record<string, number> }> {
  const { items, sender } = options
  const outcomes = new Map<Item, Outcome>()
  const sorted = sortItems(options, outcomes)
  const { delegated } = sorted
  let { candidates } = sorted
  await atOnce(delegated, {
    limit: delegatedAtOnce,
    work: async item => outcomes.set(item, outcomeOf(await options.takeOn(item))),
  })
  const stored: Record<string, number> = {}
  let snapshot = await app.policy.read()
  // A refusal must not come from an old policy: a container registered a second ago is known.
  let admission = createAdmission(snapshot)
  if (candidates.some(candidate => judge(admission, candidate, sender))) {
    snapshot = await app.policy.readCurrent()
    admission = createAdmission(snapshot)
  }
  for (let round = 0; candidates.length > 0; round += 1) {
    const admitted = candidates.filter(candidate => {
      const refusal = judge(admission, candidate, sender)
      if (refusal) outcomes.set(candidate.item, refusal)
      return !refusal
    })
    const ids = await store(app, { ...options, admitted, epoch: snapshot.epoch })
    const isStored = ({ item }: Candidate) => ids.has(idOf(item, options))
    for (const { item, request } of admitted.filter(isStored)) {
      const { containers } = request
      const offline = !isOnline(snapshot, { containers, requires: plainRequires(request.requires) })
      outcomes.set(item, {
        id: idOf(item, options),
        offline,
        replayed: false,
        stream: streamOf(app, request, options),
      })
      addToRing(stored, routeFor(request, options), 1)
    }
    candidates = admitted.filter(candidate => !isStored(candidate))
    if (candidates.length === 0) break
    const bounds = await readAdmission(app.db, sender.owner)
    if (bounds.epoch === snapshot.epoch || round === maxRounds) {
      for (const { item, request } of candidates)
        outcomes.set(item, queueFull(app, { ...bounds, route: routeFor(request, options) }))
      break
    }
    snapshot = await app.policy.readCurrent()
    admission = createAdmission(snapshot)
  }
  await recall(app, { ...options, outcomes, delegated: new Set(delegated) })
  await abandonUnused(app, { items, outcomes })
  return { outcomes: items.map(item => outcomes.get(item) ?? unexplained), stored }
}

/** By what they are; what is neither has its refusal. */
function sortItems(
  options: CreateOptions,
  outcomes: Map<Item, Outcome>,
): { candidates: Candidate[]; delegated: Item[] } {
  const candidates: Candidate[] = []
  const delegated: Item[] = []
  for (const item of options.items) {
    const request = parseRequest(item, options)
    if (request === 'delegated') delegated.push(item)
    else if ('code' in request) outcomes.set(item, request)
    else candidates.push({ item, request })
  }
  return { candidates, delegated }
}

/** Each asks a chain. */
const delegatedAtOnce = 4

function outcomeOf(taken: TakenOn | Refusal): Outcome {
  if ('code' in taken) return taken
  const { created, replayed } = taken
  return { id: created.id, offline: false, replayed, stream: null, delegated: created }
}

const unexplained: Refusal = { code: 'internal', error: 'Internal server error' }

function idOf(item: Item, { identity }: CreateOptions): string {
  return identity && 'id' in identity ? identity.id : item.id
}

type Recall = CreateOptions & { outcomes: Map<Item, Outcome>; delegated: ReadonlySet<Item> }

/**
 * What was not stored, an earlier request may have: then its job is the answer, whatever the node would say of it today. The same key,
 * or id, with another request is a mistake that makes nothing.
 */
async function recall(
  { db }: App,
  { identity, items, sender: { owner }, outcomes, delegated }: Recall,
): Promise<void> {
  const missing = [...items.entries()].filter(
    ([, item]) => !isMade(outcomes.get(item)) && !delegated.has(item),
  )
  if (!identity || missing.length === 0) return
  const earlier =
    'id' in identity
      ? await selectById(db, { owner, ...identity })
      : await selectByKey(db, { owner, ...identity })
  for (const [index, item] of missing) {
    const id = earlier.jobs.get(index)
    if (earlier.conflict) outcomes.set(item, conflictOf(identity))
    else if (id !== undefined) outcomes.set(item, { id, offline: false, replayed: true, stream: null })
  }
}

function conflictOf(identity: Identity): Refusal {
  return 'id' in identity
    ? { code: 'idempotency_conflict', error: 'This id is taken by another job', params: { id: identity.id } }
    : { code: 'idempotency_conflict', error: 'This Idempotency-Key was used for another request' }
}

function isMade(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && !('code' in outcome)
}

function judge(
  admission: ReturnType<typeof createAdmission>,
  { request }: Candidate,
  { address }: Sender,
): Refusal | null {
  const { containers, requires_proof } = request
  const requires = plainRequires(request.requires)
  return admission({ containers, requiresProof: requires_proof ?? false, requires, address })
}

/** @returns the ids stored. */
async function store(
  { db, config }: App,
  options: CreateOptions & { admitted: readonly Candidate[]; epoch: number },
): Promise<Set<string>> {
  const { admitted, enqueue, epoch, items, watched, endpoint } = options
  const { owner } = options.sender
  const inline: NewJob[] = []
  const ids = new Set<string>()
  // From the last one: the first large input holds room for the others until they are counted.
  for (const { item, request } of admitted.toReversed()) {
    const { inline: bytes, ...input } = item.input.done()
    if (input.refused) continue
    const id = idOf(item, options)
    const once = onceOf(options.identity, items.indexOf(item))
    const terms = options.streamed ? streamTermsOf(request, config) : termsOf(request, config)
    const job = { id, ...terms, endpoint, once, watched, dataBytes: input.bytes }
    if (bytes) inline.unshift({ ...job, data: decoder.decode(bytes) })
    else if (await completeReceive(db, { ...job, received: item.id, owner, dataParts: input.parts, epoch })) {
      ids.add(id)
    }
  }
  if (inline.length === 0) return ids
  const bounds = queueBoundsOf(config)
  const onUnderway = () => options.onUnderway?.(ringOf(inline))
  const queued = await enqueue({ owner, jobs: inline, epoch, bounds, onUnderway })
  return ids.union(queued)
}

function ringOf(jobs: readonly NewJob[]): Ring {
  const ring: Ring = {}
  for (const { route } of jobs) addToRing(ring, route, 1)
  return ring
}

function streamOf({ config }: App, request: JobRequest, { streamed }: CreateOptions): Made['stream'] {
  if (!streamed) return null
  const { expiryMs, stream } = streamTermsOf(request, config)
  return { container: request.containers[0] ?? '', expiryMs, unreadMs: stream?.unreadMs ?? null }
}

type Terms = Omit<JobTerms, 'once' | 'watched' | 'endpoint'>

/** What it waits under. Of a chain that is streamed only the first container is called, as the reference does. */
function routeFor({ containers, requires }: JobRequest, { streamed }: { streamed: boolean }): string {
  return routeOf(streamed ? containers.slice(0, 1) : containers, requires)
}

/** Somebody sits there and waits: it expires sooner. */
function streamTermsOf(request: JobRequest, config: App['config']): Terms {
  const { detach, expires_in } = request
  const seconds =
    detach === true
      ? config.QUEUE_EXPIRY_SECONDS
      : Math.min(config.STREAM_EXPIRY_SECONDS, config.QUEUE_EXPIRY_SECONDS)
  const leaveMs =
    typeof detach === 'number' ? Math.max(detach * 1000, limits.streamLeaveMs) : limits.streamLeaveMs
  return {
    ...termsOf(request, config),
    route: routeFor(request, { streamed: true }),
    expiryMs: Math.ceil((expires_in ?? seconds) * 1000),
    stream: { unreadMs: detach === true ? null : leaveMs },
  }
}

function termsOf(request: JobRequest, config: App['config']): Terms {
  const { requires_proof, priority, timeout, expires_in } = request
  return {
    route: routeFor(request, { streamed: false }),
    requiresProof: requires_proof ?? false,
    priority: priority ?? 0,
    timeoutMs: timeout == null ? null : Math.ceil(timeout * 1000),
    expiryMs: Math.ceil((expires_in ?? config.QUEUE_EXPIRY_SECONDS) * 1000),
    stream: null,
  }
}

function onceOf(identity: Identity | null, item: number): Once | null {
  if (!identity) return null
  const { fingerprint } = identity
  return { key: 'key' in identity ? identity.key : null, item, fingerprint }
}

const mebibyte = 1024 * 1024
const decoder = new TextDecoder()

function parseRequest(
  { fields, dataType }: Item,
  { streamed, identity, delegatedOnly }: CreateOptions,
): JobRequest | Refusal | 'delegated' {
  if (!fields) return { code: 'invalid_request', error: 'Invalid json: expected an object' }
  const body: unknown = JSON.parse(decoder.decode(fields))
  if (isDelegated(body)) {
    if (streamed)
      return { code: 'streaming_offchain_only', error: 'Streaming only supported for OffchainJob requests.' }
    // Its owner's nonce is what it is known by.
    if (identity !== null && 'id' in identity)
      return { code: 'invalid_request', error: 'A delegated subscription cannot be given an id' }
    return 'delegated'
  }
  // Told what is missing by the schema of what this door takes.
  if (delegatedOnly) return 'delegated'
  if (dataType === null) return { code: 'invalid_request', error: 'Invalid json: data: is missing' }
  if (dataType !== 'object')
    return { code: 'invalid_request', error: 'Invalid json: data: must be an object' }
  const parsed = v.safeParse(JobRequest, body, { abortEarly: true })
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  return {
    code: 'invalid_request',
    error: `Invalid json: ${v.getDotPath(issue) ?? ''}: ${problem(issue)}`,
  }
}

function problem({ kind, received, expected, message }: v.BaseIssue<unknown>): string {
  if (kind === 'validation') return message
  return received === 'undefined' ? 'is missing' : `expected ${expected}`
}

function queueFull(
  { config }: App,
  { owned, ownedBytes, ownedLanes, route }: Admission & { route: string },
): Refusal {
  if (isLane(route) && ownedLanes >= maxOwnedLanes)
    return {
      code: 'queue_full_for_owner',
      error: 'Your jobs wait for too many different chains and labels',
      params: { limit: maxOwnedLanes },
    }
  // Nearly full counts: what was refused would not have fitted any more.
  const maxBytes = config.MAX_QUEUED_MIB_PER_OWNER * mebibyte
  const much = ownedBytes > maxBytes - limits.bodyBytes && maxBytes < config.MAX_QUEUED_MIB * mebibyte
  return owned >= config.MAX_QUEUED_PER_OWNER || much
    ? {
        code: 'queue_full_for_owner',
        error: 'Too many of your jobs are waiting',
        params: { limit: config.MAX_QUEUED_PER_OWNER },
      }
    : { code: 'queue_full', error: 'The queue is full' }
}

/** Forgets the inputs of jobs that were not made by this request. `outcomes`: as far as they are known. */
export async function abandonUnused(
  { db }: Pick<App, 'db'>,
  { items, outcomes }: { items: readonly Item[]; outcomes: ReadonlyMap<Item, Outcome> },
): Promise<void> {
  for (const item of items) {
    const outcome = outcomes.get(item)
    // A delegated subscription keeps a copy of its own.
    const isUsed = outcome && !('code' in outcome) && !outcome.replayed && !outcome.delegated
    const { parts, refused } = item.input.done()
    if (parts > 0 && !refused && !isUsed) await abandonReceive(db, item.id)
  }
}
