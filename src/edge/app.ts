import { Hono } from 'hono'
import { openAPIRouteHandler } from 'hono-openapi'
import { createRinger } from './bell/ringer.ts'
import type { Context as App } from './context.ts'
import { sweep } from './jobs/sweep.ts'
import { adminRoutes } from './routes/admin.ts'
import { jobRoutes } from './routes/jobs.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { nodeRoutes } from './routes/node.ts'
import { proofRoutes } from './routes/proofs.ts'
import { onError, refuse, requireSchema } from './routes/refuse.ts'
import { tellEnded, tellEveryChain, tellRequeued } from './routes/rings.ts'
import { runnerRoutes } from './routes/runner.ts'
import { streamRoutes } from './routes/runner-stream.ts'
import { createTokenVerifier } from './runners/token.ts'
import { version } from './version.ts'

/** Between two looks for unknown keys: made-up tokens must not cost the database a statement each. */
const unknownKeyMs = 250

function createKeyReader({ policy, now }: App): (runner: string) => Promise<string | undefined> {
  let lookedAt = Number.NEGATIVE_INFINITY
  return async function readKey(runner) {
    const known = (await policy.read()).keys.get(runner)
    if (known !== undefined || now() - lookedAt < unknownKeyMs) return known
    lookedAt = now()
    return (await policy.readCurrent()).keys.get(runner)
  }
}

/** The whole HTTP surface. It imports no platform module: Workers, Deno and Node run it alike. */
export function createApp(app: App): Hono {
  const { policy, config, now } = app
  const verify = createTokenVerifier({
    audience: config.ORIGIN,
    now,
    key: createKeyReader(app),
  })
  const hono = new Hono()
  // Not /admin: whatever spoils the policy, the operator must be able to revoke its cause.
  for (const path of ['/api/*', '/v1/*', '/runner/*', '/info', '/resources']) {
    hono.use(path, requireSchema(policy))
  }
  hono.route('/', nodeRoutes(app, verify))
  hono.route('/', jobRoutes(app, createRinger({ bells: app.bells, now })))
  hono.route('/', ledgerRoutes(app))
  hono.route('/', proofRoutes(app))
  // Before the others, whose bodies are bounded and read whole.
  hono.route('/', streamRoutes(app, verify))
  hono.route('/', runnerRoutes(app, verify))
  hono.route('/', adminRoutes(app))
  hono.get(
    '/openapi.json',
    openAPIRouteHandler(hono, {
      documentation: {
        openapi: '3.1.0',
        info: {
          title: 'infernet-edge',
          version,
          description: 'A compute-oracle node for EVM chains, at the edge.',
        },
        components: {
          securitySchemes: {
            runner: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description: "EdDSA, by an enrolled runner's key.",
            },
            admin: { type: 'http', scheme: 'bearer', description: 'The `ADMIN_TOKEN` secret.' },
          },
        },
      },
    }),
  )
  hono.notFound(c => notFound(hono, c))
  hono.onError(onError(app))
  return hono
}

/** A known path: its methods to `OPTIONS`, 405 to others. Else 404. Refusals are in JSON. */
function notFound(hono: Hono, c: Parameters<Parameters<Hono['notFound']>[0]>[0]): Response {
  const methods = new Set(
    hono.routes
      .filter(route => route.method !== 'ALL' && matches(route.path, c.req.path))
      .map(route => route.method),
  )
  if (methods.size === 0 || methods.has(c.req.method))
    return refuse(c, { code: 'not_found', error: 'Not found' })
  if (methods.has('GET')) methods.add('HEAD')
  c.header('allow', [...methods, 'OPTIONS'].join(', '))
  if (c.req.method === 'OPTIONS') return c.body(null)
  return refuse(c, { code: 'method_not_allowed', error: 'Method not allowed' })
}

function matches(pattern: string, path: string): boolean {
  const expected = pattern.split('/')
  const given = path.split('/')
  return (
    expected.length === given.length && expected.every((step, i) => step.startsWith(':') || step === given[i])
  )
}

/**
 * What the cron trigger does each minute: sweep, and wake runners for jobs that came back and clients for jobs that ended. `signal`:
 * aborts when the host closes.
 */
export async function onSchedule(app: App, signal?: AbortSignal): Promise<void> {
  const { db, config, log } = app
  const { lapsed, expired, pruned, requeued } = await sweep(db, {
    maxTries: config.MAX_TRIES,
    retentionMs: config.RETENTION_SECONDS * 1000,
    signal,
    tell: async ({ requeued, watched }) =>
      await Promise.all([tellRequeued(app, requeued), tellEnded(app, watched)]),
  })
  if (lapsed + expired + pruned > 0) log.info('Swept', { lapsed, expired, pruned, requeued })
  // Whatever has stopped a ticker, it goes on from here.
  await tellEveryChain(app)
}
