import { Hono } from 'hono'
import type { Ring } from '../bell/bell.ts'
import type { Context as App } from '../context.ts'
import { jobCancelRoutes } from './job-cancel.ts'
import { jobCreateRoutes } from './job-create.ts'
import { jobReadRoutes } from './job-read.ts'

/** What clients do with jobs. */
export function jobRoutes(app: App, ringClaims: (ring: Ring) => Promise<void>): Hono {
  const routes = new Hono()
  routes.route('/', jobCreateRoutes(app, ringClaims))
  routes.route('/', jobReadRoutes(app))
  routes.route('/', jobCancelRoutes(app))
  return routes
}
