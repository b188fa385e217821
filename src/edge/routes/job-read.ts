import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { Job, JobResult } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import type { Context as App } from '../context.ts'
import { listJobs, type Place, readJobs, selectResultBytes } from '../jobs/read.ts'
import { unknownOwner } from '../runners/address.ts'
import { described } from './describe.ts'
import { type JobView, respondWithJob } from './job-answer.ts'
import { refuse } from './refuse.ts'
import { isInParts, isPending, jobResult, list, respond } from './render.ts'
import { senderOf } from './sender.ts'
import { valid } from './validate.ts'
import { tellWaited, untilEnded, waitOf, waitParameters } from './wait.ts'

/** A cursor: when the last job of a page was created, and its id. */
function toPlace(cursor: string): Place {
  const dot = cursor.indexOf('.')
  return { createdAt: Number(cursor.slice(0, dot)), id: cursor.slice(dot + 1) }
}

const Listing = v.object({
  id: v.optional(v.union([v.string(), v.array(v.string())])),
  intermediate: v.optional(v.string()),
  pending: v.optional(v.string()),
  limit: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,4}$/), v.toNumber(), v.minValue(1), v.maxValue(limits.listIds)),
  ),
  cursor: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,15}\.[\x21-\x7e]{1,128}$/, 'must come from a `link` header'),
      v.transform(toPlace),
    ),
  ),
})

/** How jobs are read. */
export function jobReadRoutes(app: App, view: JobView): Hono {
  const routes = new Hono()

  routes.get(
    '/api/jobs',
    described({
      summary: 'Results by id, or a list of ids',
      tag: 'Jobs',
      description:
        'With `id`: these jobs, ended ones first; unknown ids are left out; a wait is for the end of all of them. Without: the ids of your jobs, newest first, and on each page pending ones first; a `link` header leads to the next page.',
      parameters: [
        { name: 'id', in: 'query', repeated: true, description: `Up to ${limits.readIds}.` },
        { name: 'intermediate', in: 'query', description: '`true` adds `intermediate_results`.' },
        ...waitParameters,
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
      const { owner } = senderOf(app, c)
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
    const waitMs = waitOf(c)
    let waited = false
    if (waitMs > 0) {
      const deadline = app.now() + waitMs
      waited = await untilEnded(app, view.ends, { owner, ids: unique, deadline, signal: c.req.raw.signal })
    }
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
    if (waited) tellWaited(c)
    const elements = ordered.map(row => jobResult(app.db, row, { intermediate }))
    return await respond(c, list(elements), { streamed: ordered.some(isInParts) })
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
      url.searchParams.set('cursor', `${last.createdAt}.${last.id}`)
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
      parameters: [
        { name: 'id', in: 'path', description: 'The id that creating it answered.' },
        ...waitParameters,
      ],
      answer: { description: 'State, timings, attempt, runner, error, result.', schema: Job },
      refusals: ['invalid_request', 'not_found'],
    }),
    async c => {
      const deadline = app.now() + waitOf(c)
      return await respondWithJob(app, view, c, { id: c.req.param('id'), deadline, isNew: false })
    },
  )

  return routes
}
