import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { DelegatedCreated, DelegatedRequestBody } from '../../protocol/delegated.ts'
import { refusalBody } from '../../protocol/error.ts'
import { Job, JobCreated, JobId, JobRequestBody } from '../../protocol/job.ts'
import type { Context as App } from '../context.ts'
import { type Create, creating, delegating, keyParameter, offlineHeader, tellOutcomes } from './creating.ts'
import { described } from './describe.ts'
import { type JobView, respondWithJob } from './job-answer.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'
import { waitOf, waitParameters } from './wait.ts'

const UuidInLowerCase = v.pipe(JobId, v.regex(/^[0-9a-f-]+$/, 'must be in lower case'))

/** How jobs come in. */
export function jobCreateRoutes(app: App, { create, ...view }: JobView & { create: Create }): Hono {
  const routes = new Hono()

  async function createOne(c: Context, id?: string): Promise<Response> {
    const waitMs = waitOf(c)
    const deadline = app.now() + waitMs
    const [outcome] = await create(c, {
      batch: false,
      watched: waitMs > 0,
      ...(id === undefined ? {} : { id }),
    })
    if (!outcome) return refuse(c, { code: 'malformed_json', error: 'Malformed JSON: the body is empty' })
    if ('code' in outcome) return refuse(c, outcome)
    tellOutcomes(c, [outcome])
    if (outcome.delegated) return c.json(outcome.delegated)
    if (waitMs === 0) return c.json({ id: outcome.id })
    return await respondWithJob(app, view, c, { id: outcome.id, deadline, isNew: !outcome.replayed })
  }

  routes.post(
    '/api/jobs',
    described({
      summary: 'Create a job',
      tag: 'Jobs',
      description: `Queued durably before it is answered. The header \`${offlineHeader}: offline\` says that no runner that could serve it was heard of lately; it waits until one comes back, or it expires. With a wait: the job in full, as it is when it ends or the time is over.`,
      body: v.union([JobRequestBody, DelegatedRequestBody]),
      parameters: [keyParameter, ...waitParameters],
      answer: { description: 'The job is queued.', schema: v.union([JobCreated, Job, DelegatedCreated]) },
      refusals: [...creating, ...delegating],
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
      body: v.array(v.union([JobRequestBody, DelegatedRequestBody])),
      parameters: [keyParameter],
      answer: {
        description: 'One answer for each job.',
        schema: v.array(v.union([JobCreated, DelegatedCreated, v.looseObject({ error: v.string() })])),
      },
      refusals: ['malformed_json', 'not_a_list', 'body_too_large', 'batch_too_large', 'invalid_request'],
    }),
    async c => {
      if (c.req.query('wait') !== undefined) {
        const error = 'Invalid query: wait: is for one job; wait for these with GET /api/jobs?id=…&wait=…'
        return refuse(c, { code: 'invalid_request', error })
      }
      const outcomes = await create(c, { batch: true, watched: false })
      tellOutcomes(c, outcomes)
      return c.json(
        outcomes.map(outcome =>
          'code' in outcome ? refusalBody(outcome) : (outcome.delegated ?? { id: outcome.id }),
        ),
      )
    },
  )

  return routes
}
