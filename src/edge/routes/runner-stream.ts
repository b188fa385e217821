import { Hono } from 'hono'
import * as v from 'valibot'
import { JobId } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import { StreamAnswer } from '../../protocol/runner.ts'
import type { Context as App } from '../context.ts'
import type { TokenVerifier } from '../runners/token.ts'
import { type RunnerEnv, refuseRunner, runnerAuth } from './auth.ts'
import { bodyTooLarge } from './body.ts'
import { described } from './describe.ts'
import { Attempt, staleLease } from './lease.ts'
import { valid } from './validate.ts'

const Offset = v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'must be an offset in bytes'), v.toNumber())

/** How runners hand in a stream. Its bodies go through as they come, so no bound of whole bodies is theirs. */
export function streamRoutes(app: App, verify: TokenVerifier): Hono<RunnerEnv> {
  const routes = new Hono<RunnerEnv>()

  routes.put(
    '/runner/jobs/:id/stream',
    runnerAuth(verify),
    described({
      summary: 'Upload output of a stream',
      tag: 'Runner',
      description:
        'The body is passed on as it comes. It is answered when it ends, or before, when the rest is not wanted.',
      parameters: [
        { name: 'id', in: 'path', description: 'Job.' },
        { name: 'attempt', in: 'query', description: 'Of the lease.', required: true },
        { name: 'from', in: 'query', description: 'Offset of the first byte.', required: true },
      ],
      answer: { description: 'What the edge has.', schema: StreamAnswer },
      refusals: ['unauthorized', 'invalid_request', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    valid('param', v.object({ id: JobId })),
    valid('query', v.object({ attempt: Attempt, from: Offset })),
    async c => {
      if (Number(c.req.header('content-length') ?? 0) > limits.streamPartBytes)
        throw bodyTooLarge(limits.streamPartBytes)
      const { id } = c.req.valid('param')
      const upload = { runner: c.var.runner, id, ...c.req.valid('query') }
      // An empty body is a question, and some hosts have a stream for it all the same.
      const isQuestion = c.req.header('content-length') === '0'
      const written = await app.relays(id).write(upload, isQuestion ? null : c.req.raw.body)
      if (written.stale) return await refuseRunner(c, app.policy, staleLease)
      return c.json({ have: written.have, stop: written.stop } satisfies StreamAnswer)
    },
  )

  return routes
}
