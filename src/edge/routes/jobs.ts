import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import type { ErrorCode } from '../../protocol/error.ts'
import { refusalBody } from '../../protocol/error.ts'
import { Job, JobCreated, JobRequestBody, JobResult } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import type { Ring } from '../bell/bell.ts'
import type { Context as App } from '../context.ts'
import { createEnqueuer } from '../jobs/enqueuer.ts'
import { listJobs, readJobs, selectResultBytes } from '../jobs/read.ts'
import { describe } from '../log.ts'
import { ownerOf, unknownOwner } from '../runners/address.ts'
import { bodyTooLarge } from './body.ts'
import { createJobs, inputStore, type Outcome, type Sender } from './create.ts'
import { described } from './describe.ts'
import { readItems } from './intake.ts'
import { refuse } from './refuse.ts'
import { isInParts, isPending, jobInFull, jobResult, list, respond } from './render.ts'
import { valid } from './validate.ts'

const creating: ErrorCode[] = [
  'malformed_json',
  'invalid_request',
  'no_containers',
  'chain_too_long',
  'not_external',
  'not_allowed',
  'body_too_large',
  'unsupported_container',
  'unsupported_proof',
  'queue_full_for_owner',
  'queue_full',
  'no_runner',
  'schema_outdated',
  'chain_not_enabled',
]

/** The header that says that a job waits for a runner to come back. */
const offlineHeader = 'infernet-runner'

const Listing = v.object({
  id: v.optional(v.union([v.string(), v.array(v.string())])),
  intermediate: v.optional(v.string()),
  pending: v.optional(v.string()),
  limit: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,4}$/), v.toNumber(), v.minValue(1), v.maxValue(limits.listIds)),
  ),
  cursor: v.optional(v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,128}$/, 'must come from a `link` header'))),
})

export function jobRoutes(app: App, ringClaims: (ring: Ring) => Promise<void>): Hono {
  const routes = new Hono()
  const enqueue = createEnqueuer(app)

  const senderOf = (c: Context): Sender => {
    const { address } = app.peer(c)
    return { owner: ownerOf(address), address }
  }

  /** Reads, stores and rings. It goes on when the client leaves: a stored job must not wait because the bell was kept still. */
  async function create(c: Context, { batch }: { batch: boolean }): Promise<Outcome[]> {
    if (Number(c.req.header('content-length') ?? 0) > limits.bodyBytes) throw bodyTooLarge(limits.bodyBytes)
    const sender = senderOf(c)
    const created = (async () => {
      const items = await readItems(c.req.raw, { batch, store: inputStore(app, sender.owner) })
      return await createJobs(app, { items, sender, enqueue })
    })()
    const ring = ({ stored }: { stored: Ring }) =>
      ringClaims(stored).catch(error => app.log.warn('Ring lost', { error: describe(error) }))
    // The client is told of a failure; here it only ends the chain.
    app.background(
      c,
      created.then(ring, () => undefined),
    )
    return (await created).outcomes
  }

  const offline = (outcomes: readonly Outcome[]) =>
    outcomes.some(outcome => !('code' in outcome) && outcome.offline)

  routes.post(
    '/api/jobs',
    described({
      summary: 'Create a job',
      tag: 'Jobs',
      description: `Queued durably before it is answered. The header \`${offlineHeader}: offline\` says that no runner that could serve it was heard of lately; it waits until one comes back, or it expires.`,
      body: JobRequestBody,
      answer: { description: 'The job is queued.', schema: JobCreated },
      refusals: creating,
    }),
    async c => {
      const outcomes = await create(c, { batch: false })
      const [outcome] = outcomes
      if (!outcome) return refuse(c, { code: 'malformed_json', error: 'Malformed JSON: the body is empty' })
      if ('code' in outcome) return refuse(c, outcome)
      if (outcome.offline) c.header(offlineHeader, 'offline')
      return c.json({ id: outcome.id })
    },
  )

  routes.post(
    '/api/jobs/batch',
    described({
      summary: 'Create up to 100 jobs',
      tag: 'Jobs',
      description: 'Each is judged by itself: an id, or a refusal, in the order of the request.',
      body: v.array(JobRequestBody),
      answer: {
        description: 'One answer for each job.',
        schema: v.array(v.union([JobCreated, v.looseObject({ error: v.string() })])),
      },
      refusals: ['malformed_json', 'not_a_list', 'body_too_large', 'batch_too_large', 'invalid_request'],
    }),
    async c => {
      const outcomes = await create(c, { batch: true })
      if (offline(outcomes)) c.header(offlineHeader, 'offline')
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

  routes.get(
    '/api/jobs',
    described({
      summary: 'Results by id, or a list of ids',
      tag: 'Jobs',
      description:
        'With `id`: these jobs, ended ones first; unknown ids are left out. Without: the ids of your jobs, newest first, and on each page pending ones first; a `link` header leads to the next page.',
      parameters: [
        { name: 'id', in: 'query', repeated: true, description: `Up to ${limits.readIds}.` },
        { name: 'intermediate', in: 'query', description: '`true` adds `intermediate_results`.' },
        {
          name: 'pending',
          in: 'query',
          description: '`true`: waiting or running; `false`: ended; else both.',
        },
        { name: 'limit', in: 'query', description: `1 to ${limits.listIds}, which is the default.` },
        { name: 'cursor', in: 'query', description: 'From the `link` header.' },
      ],
      answer: { description: 'Results, or ids.', schema: v.union([v.array(JobResult), v.array(v.string())]) },
      refusals: ['invalid_request', 'forbidden', 'read_too_large'],
    }),
    valid('query', Listing),
    async c => {
      const query = c.req.valid('query')
      const { owner } = senderOf(c)
      const ids = c.req.queries('id') ?? []
      if (ids.length > 0)
        return await readResults(c, { owner, ids, intermediate: query.intermediate === 'true' })
      if (owner === unknownOwner) {
        return refuse(c, {
          code: 'forbidden',
          error: 'The node cannot tell which jobs are yours: ask for them by id',
        })
      }
      return await listing(c, { owner, query })
    },
  )

  async function readResults(
    c: Context,
    { owner, ids, intermediate }: { owner: string; ids: string[]; intermediate: boolean },
  ): Promise<Response> {
    if (ids.length > limits.readIds) {
      return refuse(c, {
        code: 'read_too_large',
        error: 'Too many ids in one request',
        params: { limit: limits.readIds },
      })
    }
    const unique = [...new Set(ids)]
    // One job is read whatever its size, since it is streamed; a large one among many is better asked for by itself.
    const bytes = ids.length > 1 ? await selectResultBytes(app.db, { owner, ids, intermediate }) : 0
    if (bytes > limits.readBytes) {
      const params = { bytes, limit: limits.readBytes }
      return refuse(c, {
        code: 'read_too_large',
        error: 'These results are too large for one request',
        params,
      })
    }
    const rows = new Map((await readJobs(app.db, { owner, ids: unique })).map(row => [row.id, row]))
    const found = ids.map(id => rows.get(id)).filter(row => row !== undefined)
    const ordered = [...found.filter(row => !isPending(row)), ...found.filter(isPending)]
    const elements = ordered.map(row => jobResult(app.db, row, { intermediate }))
    return await respond(list(elements), { streamed: ordered.some(isInParts) })
  }

  async function listing(
    c: Context,
    { owner, query }: { owner: string; query: v.InferOutput<typeof Listing> },
  ): Promise<Response> {
    const { limit = limits.listIds, cursor: before = null } = query
    const pending = query.pending === 'true' ? true : query.pending === 'false' ? false : null
    const rows = await listJobs(app.db, { owner, pending, limit: limit + 1, before })
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    if (last && rows.length > limit) {
      const url = new URL(c.req.url)
      url.searchParams.set('cursor', last.id)
      c.header('link', `<${url.pathname}${url.search}>; rel="next"`)
    }
    const ordered = [...page.filter(row => row.pending), ...page.filter(row => !row.pending)]
    return c.json(ordered.map(row => row.id))
  }

  routes.get(
    '/api/jobs/:id',
    described({
      summary: 'One job in full',
      tag: 'Jobs',
      parameters: [{ name: 'id', in: 'path', description: 'The id that creating it answered.' }],
      answer: { description: 'State, timings, attempt, runner, error, result.', schema: Job },
      refusals: ['not_found'],
    }),
    async c => {
      const [row] = await readJobs(app.db, { owner: senderOf(c).owner, ids: [c.req.param('id')] })
      if (!row) return refuse(c, { code: 'not_found', error: 'Job not found' })
      return await respond(jobInFull(app.db, row), { streamed: isInParts(row) })
    },
  )

  return routes
}
