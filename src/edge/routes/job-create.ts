import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import type { ErrorCode } from '../../protocol/error.ts'
import { refusalBody } from '../../protocol/error.ts'
import { isIdempotencyKey } from '../../protocol/idempotency-key.ts'
import { Job, JobCreated, JobId, JobRequestBody } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import type { Ring } from '../bell/bell.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { createEnqueuer } from '../jobs/enqueuer.ts'
import { describe } from '../log.ts'
import { bodyTooLarge } from './body.ts'
import { abandonUnused, createJobs, type Identity, inputStore, type Outcome } from './create.ts'
import { described, type Parameter } from './describe.ts'
import { type Item, readItems } from './intake.ts'
import { respondWithJob } from './job-answer.ts'
import { RefusalError, refuse } from './refuse.ts'
import { senderOf } from './sender.ts'
import { valid } from './validate.ts'
import { waitOf, waitParameters } from './wait.ts'

const creating: ErrorCode[] = [
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
  'queue_full_for_owner',
  'queue_full',
  'no_runner',
  'chain_not_enabled',
]

/** The header that says that a job waits for a runner to come back. */
const offlineHeader = 'infernet-runner'
/** The header that says that an earlier request made the job. */
const replayedHeader = 'idempotent-replayed'

const keyParameter: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  description: `1 to ${limits.idempotencyKeyLength} visible ASCII characters. The same key with the same request makes its jobs once, for 24 hours; with another request it is refused.`,
}

const UuidInLowerCase = v.pipe(JobId, v.regex(/^[0-9a-f-]+$/, 'must be in lower case'))

/** How jobs come in. */
export function jobCreateRoutes(
  app: App,
  { ends, ringClaims }: { ends: Ends; ringClaims: (ring: Ring) => Promise<void> },
): Hono {
  const routes = new Hono()
  const enqueue = createEnqueuer(app)

  /** Reads, stores and rings. It goes on when the client leaves: a stored job must not wait because the bell was kept still. */
  async function create(
    c: Context,
    { batch, id, waitMs }: { batch: boolean; id?: string; waitMs: number },
  ): Promise<Outcome[]> {
    if (Number(c.req.header('content-length') ?? 0) > limits.bodyBytes) throw bodyTooLarge(limits.bodyBytes)
    const sender = senderOf(app, c)
    const key = id === undefined ? keyOf(c) : null
    const fingerprinted = id !== undefined || key !== null
    let arrived: readonly Item[] = []
    const created = (async () => {
      const store = inputStore(app, sender.owner)
      const { items, fingerprint } = await readItems(c.req.raw, { batch, store, fingerprinted })
      const identity = identityOf({ fingerprint, batch, id, key })
      arrived = items
      return await createJobs(app, { items, sender, enqueue, identity, watched: waitMs > 0 })
    })()
    const ring = ({ stored }: { stored: Ring }) =>
      ringClaims(stored).catch(error => app.log.warn('Ring lost', { error: describe(error) }))
    // The client is told of a failure. What has arrived holds room in the queue until the sweep comes, if this fails as well.
    const forget = () => abandonUnused(app, { items: arrived, outcomes: new Map() }).catch(() => undefined)
    app.background(c, created.then(ring, forget))
    return (await created).outcomes
  }

  async function createOne(c: Context, id?: string): Promise<Response> {
    const waitMs = waitOf(c)
    const deadline = app.now() + waitMs
    const [outcome] = await create(c, { batch: false, waitMs, ...(id === undefined ? {} : { id }) })
    if (!outcome) return refuse(c, { code: 'malformed_json', error: 'Malformed JSON: the body is empty' })
    if ('code' in outcome) return refuse(c, outcome)
    tellOutcomes(c, [outcome])
    if (waitMs === 0) return c.json({ id: outcome.id })
    return await respondWithJob(app, ends, c, { id: outcome.id, deadline, isNew: !outcome.replayed })
  }

  routes.post(
    '/api/jobs',
    described({
      summary: 'Create a job',
      tag: 'Jobs',
      description: `Queued durably before it is answered. The header \`${offlineHeader}: offline\` says that no runner that could serve it was heard of lately; it waits until one comes back, or it expires. With a wait: the job in full, as it is when it ends or the time is over.`,
      body: JobRequestBody,
      parameters: [keyParameter, ...waitParameters],
      answer: { description: 'The job is queued.', schema: v.union([JobCreated, Job]) },
      refusals: creating,
    }),
    async c => await createOne(c),
  )

  routes.put(
    '/api/jobs/:id',
    described({
      summary: 'Create a job under an id of your own',
      tag: 'Jobs',
      description:
        'As often as it is sent, one job is made, as long as the node keeps that job. Everything else is as in creating one without an id.',
      body: JobRequestBody,
      parameters: [
        { name: 'id', in: 'path', description: 'A UUID that nobody else can guess.' },
        ...waitParameters,
      ],
      answer: { description: 'The job is queued.', schema: v.union([JobCreated, Job]) },
      refusals: creating,
    }),
    valid('param', v.object({ id: UuidInLowerCase })),
    async c => await createOne(c, c.req.valid('param').id),
  )

  routes.post(
    '/api/jobs/batch',
    described({
      summary: 'Create up to 100 jobs',
      tag: 'Jobs',
      description: 'Each is judged by itself: an id, or a refusal, in the order of the request.',
      body: v.array(JobRequestBody),
      parameters: [keyParameter],
      answer: {
        description: 'One answer for each job.',
        schema: v.array(v.union([JobCreated, v.looseObject({ error: v.string() })])),
      },
      refusals: ['malformed_json', 'not_a_list', 'body_too_large', 'batch_too_large', 'invalid_request'],
    }),
    async c => {
      if (c.req.query('wait') !== undefined) {
        const error = 'Invalid query: wait: is for one job; wait for these with GET /api/jobs?id=…&wait=…'
        return refuse(c, { code: 'invalid_request', error })
      }
      const outcomes = await create(c, { batch: true, waitMs: 0 })
      tellOutcomes(c, outcomes)
      return c.json(outcomes.map(outcome => ('code' in outcome ? refusalBody(outcome) : { id: outcome.id })))
    },
  )

  routes.post(
    '/api/jobs/stream',
    described({
      summary: 'Create a streaming job',
      tag: 'Jobs',
      description: 'Not available yet.',
      refusals: ['streaming_not_available'],
    }),
    c =>
      refuse(c, { code: 'streaming_not_available', error: 'Streaming jobs are not available on this node' }),
  )

  return routes
}

function tellOutcomes(c: Context, outcomes: readonly Outcome[]): void {
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

type Asked = { fingerprint: string | null; batch: boolean; id: string | undefined; key: string | null }

function identityOf({ fingerprint, batch, id, key }: Asked): Identity | null {
  if (fingerprint === null) return null
  if (id !== undefined) return { id, fingerprint }
  // The same body means another thing as a batch.
  return key === null ? null : { key, fingerprint: batch ? `batch ${fingerprint}` : fingerprint }
}
