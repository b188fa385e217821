import * as v from 'valibot'
import { routeOf } from '../../protocol/container.ts'
import type { Refusal } from '../../protocol/error.ts'
import { JobRequest } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import type { Context as App } from '../context.ts'
import { type Admission, type NewJob, type QueueBounds, readAdmission } from '../jobs/enqueue.ts'
import type { Enqueuer } from '../jobs/enqueuer.ts'
import { abandonReceive, beginReceive, completeReceive, receivePart } from '../jobs/receive.ts'
import { admit, isOnline } from '../runners/admit.ts'
import type { PolicySnapshot } from '../runners/policy.ts'
import type { InputStore } from './input.ts'
import type { Item } from './intake.ts'

export type Sender = { owner: string; address: string | null }

/** What became of an item: an id, or a refusal. `offline`: queued, but no runner that could serve it was heard of lately. */
export type Outcome = { id: string; offline: boolean } | Refusal

/** How often a policy that moves on between admission and storing is read again. */
const maxRounds = 3

type Candidate = { item: Item; request: JobRequest }

/** Where the inputs of a sender's jobs go while they arrive. */
export function inputStore({ db, config }: App, owner: string): InputStore {
  return {
    begin: id => beginReceive(db, { id, owner, bounds: boundsOf(config) }),
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
  { items, sender, enqueue }: { items: readonly Item[]; sender: Sender; enqueue: Enqueuer },
): Promise<{ outcomes: Outcome[]; stored: Record<string, number> }> {
  const outcomes = new Map<Item, Outcome>()
  let candidates: Candidate[] = []
  for (const item of items) {
    const request = parseRequest(item)
    if ('code' in request) outcomes.set(item, request)
    else candidates.push({ item, request })
  }
  const stored: Record<string, number> = {}
  let snapshot = await app.policy.read()
  // A refusal must not come from an old policy: a container registered a second ago is known.
  if (candidates.some(candidate => judge(snapshot, candidate, sender)))
    snapshot = await app.policy.readCurrent()
  for (let round = 0; candidates.length > 0; round += 1) {
    const admitted = candidates.filter(candidate => {
      const refusal = judge(snapshot, candidate, sender)
      if (refusal) outcomes.set(candidate.item, refusal)
      return !refusal
    })
    const ids = await store(app, { admitted, sender, enqueue, epoch: snapshot.epoch })
    for (const { item, request } of admitted.filter(({ item }) => ids.has(item.id))) {
      outcomes.set(item, { id: item.id, offline: !isOnline(snapshot, request.containers) })
      const route = routeOf(request.containers)
      stored[route] = (stored[route] ?? 0) + 1
    }
    candidates = admitted.filter(({ item }) => !ids.has(item.id))
    if (candidates.length === 0) break
    const admission = await readAdmission(app.db, sender.owner)
    if (admission.epoch === snapshot.epoch || round === maxRounds) {
      for (const { item } of candidates) outcomes.set(item, queueFull(app, admission))
      break
    }
    snapshot = await app.policy.readCurrent()
  }
  await abandonRefused(app, { items, outcomes })
  return { outcomes: items.map(item => outcomes.get(item) ?? unexplained), stored }
}

const unexplained: Refusal = { code: 'internal', error: 'Internal server error' }

function judge(snapshot: PolicySnapshot, { request }: Candidate, { address }: Sender): Refusal | null {
  const { containers, requires_proof } = request
  return admit(snapshot, { containers, requiresProof: requires_proof ?? false, address })
}

/** @returns the ids stored. */
async function store(
  { db, config }: App,
  {
    admitted,
    sender,
    enqueue,
    epoch,
  }: { admitted: readonly Candidate[]; sender: Sender; enqueue: Enqueuer; epoch: number },
): Promise<Set<string>> {
  const expiryMs = config.QUEUE_EXPIRY_SECONDS * 1000
  const inline: NewJob[] = []
  const ids = new Set<string>()
  for (const { item, request } of admitted) {
    const { inline: bytes, ...input } = item.input.done()
    if (input.refused) continue
    const job = {
      id: item.id,
      route: routeOf(request.containers),
      requiresProof: request.requires_proof ?? false,
    }
    if (bytes) inline.push({ ...job, data: decoder.decode(bytes), dataBytes: input.bytes })
    else if (
      await completeReceive(db, { ...job, dataBytes: input.bytes, dataParts: input.parts, epoch, expiryMs })
    ) {
      ids.add(item.id)
    }
  }
  if (inline.length === 0) return ids
  const bounds = boundsOf(config)
  const queued = await enqueue({ owner: sender.owner, jobs: inline, epoch, expiryMs, bounds })
  return ids.union(queued)
}

const mebibyte = 1024 * 1024
const decoder = new TextDecoder()

function parseRequest({ fields, dataType }: Item): JobRequest | Refusal {
  if (!fields) return { code: 'invalid_request', error: 'Invalid json: expected an object' }
  const body: unknown = JSON.parse(decoder.decode(fields))
  if (isDelegated(body)) return { code: 'chain_not_enabled', error: 'Chain not enabled' }
  if (dataType === null) return { code: 'invalid_request', error: 'Invalid json: data: is missing' }
  if (dataType !== 'object')
    return { code: 'invalid_request', error: 'Invalid json: data: must be an object' }
  const parsed = v.safeParse(JobRequest, body)
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  return {
    code: 'invalid_request',
    error: `Invalid json: ${v.getDotPath(issue) ?? ''}: ${issue.received === 'undefined' ? 'is missing' : `expected ${issue.expected}`}`,
  }
}

/** A delegated subscription: told apart by its shape, as the reference does, `containers` and `data` deciding first. */
export function isDelegated(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    'signature' in body &&
    'subscription' in body &&
    !('containers' in body)
  )
}

function queueFull({ config }: App, { owned, ownedBytes }: Admission): Refusal {
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

async function abandonRefused(
  { db }: App,
  { items, outcomes }: { items: readonly Item[]; outcomes: Map<Item, Outcome> },
): Promise<void> {
  for (const item of items) {
    const outcome = outcomes.get(item)
    const { parts, refused } = item.input.done()
    if (parts > 0 && !refused && (!outcome || 'code' in outcome)) await abandonReceive(db, item.id)
  }
}

function boundsOf(config: App['config']): QueueBounds {
  return {
    maxQueuedPerOwner: config.MAX_QUEUED_PER_OWNER,
    maxQueued: config.MAX_QUEUED,
    maxBytesPerOwner: config.MAX_QUEUED_MIB_PER_OWNER * mebibyte,
    maxBytes: config.MAX_QUEUED_MIB * mebibyte,
  }
}
