import { Hono } from 'hono'
import * as v from 'valibot'
import { limits } from '../../protocol/limits.ts'
import { EnrolRequest, Runner, RunnerMode } from '../../protocol/runner.ts'
import type { Context as App } from '../context.ts'
import { describe } from '../log.ts'
import { enrol, listRunners, revoke, setMode } from '../runners/enrol.ts'
import { adminAuth } from './auth.ts'
import { boundedBody } from './body.ts'
import { described } from './describe.ts'
import { isId } from './id.ts'
import { refuse } from './refuse.ts'
import { valid } from './validate.ts'

const Enrolled = v.object({ id: v.string() })
const idParameter = {
  name: 'id',
  in: 'path',
  description: "The runner: its key's RFC 7638 thumbprint.",
} as const

const runnerNotFound = { code: 'not_found', error: 'Runner not found' } as const

/** Routes of the operator, behind `ADMIN_TOKEN`. */
export function adminRoutes(app: App): Hono {
  const { db, bells } = app
  const routes = new Hono()
  routes.use('/admin/*', adminAuth(app.config.ADMIN_TOKEN), boundedBody(limits.smallBodyBytes))

  routes.post(
    '/admin/runners',
    described({
      summary: 'Enrol a runner',
      tag: 'Admin',
      answer: { description: 'Enrolled.', schema: Enrolled },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'body_too_large'],
      secured: 'admin',
    }),
    valid('json', EnrolRequest),
    async c => {
      const id = await enrol(db, c.req.valid('json'))
      // It may knock at once, and this isolate should know it.
      await app.policy.readCurrent()
      app.log.info('Runner enrolled', { runner: id })
      return c.json({ id })
    },
  )

  routes.get(
    '/admin/runners',
    described({
      summary: 'All runners',
      tag: 'Admin',
      answer: { description: 'Newest first.', schema: v.array(Runner) },
      refusals: ['unauthorized'],
      secured: 'admin',
    }),
    async c => c.json(await listRunners(db)),
  )

  routes.delete(
    '/admin/runners/:id',
    described({
      summary: 'Revoke a runner',
      tag: 'Admin',
      description: 'From here on its requests are refused; its leases lapse and others take the jobs.',
      parameters: [idParameter],
      answer: { description: 'Revoked.', schema: Enrolled },
      refusals: ['unauthorized', 'invalid_request', 'not_found', 'body_too_large'],
      secured: 'admin',
    }),
    async c => {
      const id = c.req.param('id')
      if (!isId(id) || !(await revoke(db, id))) return refuse(c, runnerNotFound)
      app.log.info('Runner revoked', { runner: id })
      return c.json({ id })
    },
  )

  routes.patch(
    '/admin/runners/:id',
    described({
      summary: 'Pause, drain or resume a runner',
      tag: 'Admin',
      parameters: [idParameter],
      answer: { description: 'Told.', schema: RunnerMode },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'not_found', 'body_too_large'],
      secured: 'admin',
    }),
    valid('json', RunnerMode),
    async c => {
      const id = c.req.param('id')
      const { mode } = c.req.valid('json')
      if (!isId(id)) return refuse(c, runnerNotFound)
      const told = setMode(db, { id, mode })
      const ring = async (known: boolean) => known && (await bells('control').ring({ [id]: 1_000 }))
      app.background(
        c,
        told.then(ring).catch(error => app.log.warn('Ring lost', { error: describe(error) })),
      )
      if (!(await told)) return refuse(c, runnerNotFound)
      return c.json({ mode })
    },
  )

  return routes
}
