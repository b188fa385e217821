import { Hono } from 'hono'
import type { Ring } from '../bell/bell.ts'
import { createEnds } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { createWhyWaiting } from '../runners/waiting.ts'
import { consumerRoutes } from './consumers.ts'
import { createCreate } from './creating.ts'
import { jobCancelRoutes } from './job-cancel.ts'
import { jobCreateRoutes } from './job-create.ts'
import { jobReadRoutes } from './job-read.ts'
import { jobStreamRoutes } from './job-stream.ts'
import { openAiRoutes } from './openai.ts'
import { subscriptionRoutes } from './subscriptions.ts'

/** What clients do with jobs. */
export function jobRoutes(app: App, ringClaims: (ring: Ring) => Promise<void>): Hono {
  const routes = new Hono()
  const ends = createEnds(app)
  const view = { ends, whyWaiting: createWhyWaiting(app) }
  const create = createCreate(app, ringClaims)
  routes.route('/', jobCreateRoutes(app, { ...view, create }))
  routes.route('/', subscriptionRoutes(app, create))
  routes.route('/', consumerRoutes(app))
  routes.route('/', jobStreamRoutes(app, { ends, create }))
  routes.route('/', openAiRoutes(app, { ends, create }))
  routes.route('/', jobReadRoutes(app, view))
  routes.route('/', jobCancelRoutes(app))
  return routes
}
