import type { Context } from 'hono'
import type { ErrorCode } from '../../protocol/error.ts'
import { isIdempotencyKey } from '../../protocol/idempotency-key.ts'
import { limits } from '../../protocol/limits.ts'
import type { Ring } from '../bell/bell.ts'
import { createEarlyRing } from '../bell/early.ts'
import { createDoors } from '../chain/delegated/doors.ts'
import type { Context as App } from '../context.ts'
import { createEnqueuer } from '../jobs/enqueuer.ts'
import { describe } from '../log.ts'
import { bodyTooLarge } from './body.ts'
import { abandonUnused, createJobs, type Identity, inputStore, type Outcome } from './create.ts'
import { createTaking } from './delegated.ts'
import type { Parameter } from './describe.ts'
import { type Item, readItems } from './intake.ts'
import { RefusalError } from './refuse.ts'
import { pokeChains } from './rings.ts'
import { senderOf } from './sender.ts'

/** How a request for a job may be refused. */
export const creating: ErrorCode[] = [
  'malformed_json',
  'invalid_request',
  'no_containers',
  'chain_too_long',
  'not_external',
  'not_allowed',
  'not_found',
  'idempotency_conflict',
  'body_too_large',
  'unsupported_container',
  'unsupported_proof',
  'unmet_requires',
  'queue_full_for_owner',
  'queue_full',
  'no_runner',
]

/** And how a delegated subscription may be, beside. */
export const delegating: ErrorCode[] = [
  'signature_expired',
  'invalid_signature',
  'signer_mismatch',
  'data_not_signed',
  'nonce_used',
  'data_conflict',
  'unsupported_containers',
  'invalid_payment',
  'verifier_not_accepted',
  'stake_too_high',
  'completed',
  'refused_by_chain',
  'consumer_limit',
  'chain_not_enabled',
  'chain_unavailable',
]

/** The header that says that a job waits for a runner to come back. */
export const offlineHeader = 'infernet-runner'
/** The header that says that an earlier request made the job. */
const replayedHeader = 'idempotent-replayed'

export const keyParameter: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  description: `1 to ${limits.idempotencyKeyLength} visible ASCII characters. The same key with the same request makes its jobs once, for 24 hours; with another request it is refused.`,
}

export type CreateRequest = {
  /** Its body has the jobs; the client's, unless another door was used. */
  request?: Request
  batch: boolean
  /** Chosen by the client. */
  id?: string
  watched: boolean
  streamed?: boolean
  endpoint?: 'openai' | null
  /** Jobs are refused. */
  delegatedOnly?: boolean
}

/** Reads, stores and rings. It goes on when the client leaves: a stored job must not wait because the bell was kept still. */
export type Create = (c: Context, request: CreateRequest) => Promise<Outcome[]>

export function createCreate(app: App, ringClaims: (ring: Ring) => Promise<void>): Create {
  const enqueue = createEnqueuer(app)
  const doors = createDoors(app)

  return async function create(
    c,
    { request = c.req.raw, batch, id, watched, streamed = false, endpoint = null, delegatedOnly = false },
  ) {
    if (Number(c.req.header('content-length') ?? 0) > limits.bodyBytes) throw bodyTooLarge(limits.bodyBytes)
    const sender = senderOf(app, c)
    const key = id === undefined ? keyOf(c) : null
    const fingerprinted = id !== undefined || key !== null
    let arrived: readonly Item[] = []
    // Who waits for a stream waits for its first byte. Other jobs would pay with a second ring for each.
    const early = createEarlyRing(() => app.bells('claims'))
    const onUnderway = streamed ? early.ring : undefined
    const created = (async () => {
      const store = inputStore(app, sender.owner)
      const { items, fingerprint } = await readItems(request, { batch, store, fingerprinted })
      const identity = identityOf({ fingerprint, batch, streamed, id, key })
      arrived = items
      return await createJobs(app, {
        items,
        sender,
        enqueue,
        identity,
        watched,
        streamed,
        endpoint,
        delegatedOnly,
        onUnderway,
        takeOn: createTaking(app, doors),
      })
    })()
    const ring = ({ stored }: { stored: Ring }) =>
      early
        .confirm(stored)
        .then(wasRung => (wasRung ? undefined : ringClaims(stored)))
        .catch(error => app.log.warn('Ring lost', { error: describe(error) }))
    // The client is told of a failure. What has arrived holds room in the queue until the sweep comes, if this fails as well.
    // A ticker remembers when there is something to do next: it is told of what it does not know.
    const poke = ({ outcomes }: { outcomes: readonly Outcome[] }) => pokeChains(app, chainsOf(outcomes))
    const forget = () => abandonUnused(app, { items: arrived, outcomes: new Map() }).catch(() => undefined)
    app.background(
      c,
      created.then(async made => void (await Promise.all([ring(made), poke(made)])), forget),
    )
    return (await created).outcomes
  }
}

export function tellOutcomes(c: Context, outcomes: readonly Outcome[]): void {
  const made = outcomes.flatMap(outcome => ('code' in outcome ? [] : [outcome]))
  if (made.some(({ offline }) => offline)) c.header(offlineHeader, 'offline')
  if (made.some(({ replayed }) => replayed)) c.header(replayedHeader, 'true')
}

/** @throws RefusalError when it is no key. */
function keyOf(c: Context): string | null {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return null
  if (isIdempotencyKey(key)) return key
  throw new RefusalError(
    'invalid_request',
    `Invalid header: idempotency-key: must be 1-${limits.idempotencyKeyLength} visible ASCII characters`,
  )
}

type Asked = {
  fingerprint: string | null
  batch: boolean
  streamed: boolean
  id: string | undefined
  key: string | null
}

function identityOf({ fingerprint, batch, streamed, id, key }: Asked): Identity | null {
  if (fingerprint === null) return null
  if (id !== undefined) return { id, fingerprint }
  // The same body means another thing as a batch, or as a stream.
  const kind = batch ? 'batch ' : streamed ? 'stream ' : ''
  return key === null ? null : { key, fingerprint: `${kind}${fingerprint}` }
}

/** Chains for which something new was taken on. */
function chainsOf(outcomes: readonly Outcome[]): number[] {
  const chains = outcomes.flatMap(outcome =>
    !('code' in outcome) && outcome.delegated && !outcome.replayed ? [outcome.delegated.chain_id] : [],
  )
  return [...new Set(chains)]
}
