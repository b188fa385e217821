import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { containersOf } from '../../protocol/container.ts'
import { JobId } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import { ClaimAnswer, type ClaimedJob, ClaimRequest } from '../../protocol/runner.ts'
import type { Bell } from '../bell/bell.ts'
import type { Context as App } from '../context.ts'
import { type ClaimedRow, claim } from '../jobs/claim.ts'
import { readParts, selectInput } from '../jobs/parts.ts'
import { readOrders } from '../runners/control.ts'
import { type RunnerEnv, refuseRunner } from './auth.ts'
import { described } from './describe.ts'
import { Attempt, staleLease, unknownInstance } from './lease.ts'
import { lookAgain } from './look-again.ts'
import { toStream } from './render.ts'
import { tellLapsed } from './rings.ts'
import { valid } from './validate.ts'

/** How runners get work: leases, and inputs too large to come with them. */
export function claimRoutes(app: App): Hono<RunnerEnv> {
  const { db, bells, config, policy } = app
  const leaseMs = config.LEASE_SECONDS * 1000
  const routes = new Hono<RunnerEnv>()

  routes.post(
    '/runner/claim',
    described({
      summary: 'Take jobs',
      tag: 'Runner',
      description: 'Waits up to `wait_ms` for one to come.',
      answer: { description: 'Jobs, possibly none.', schema: ClaimAnswer },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    valid('json', ClaimRequest),
    async c => {
      const request = c.req.valid('json')
      const { instance, routes, wait_ms } = request
      const { signal } = c.req.raw
      const token = crypto.randomUUID()
      const look = async () => {
        const claimed = claim(db, {
          ...request,
          runner: c.var.runner,
          token,
          inlineBytes: limits.claimInlineBytes,
          leaseMs,
          maxTries: config.MAX_TRIES,
        })
        const ring = claimed.then(
          ({ lapsed }) => tellLapsed(app, lapsed),
          () => undefined,
        )
        app.background(c, ring)
        return await claimed
      }
      const deadline = app.now() + wait_ms
      // The first look needs no ticket: on a busy node it finds jobs, and then the bell is not asked at all.
      let claimed = await look()
      if (!claimed.passed) return await explain(c, instance)
      const names = routes.filter(({ slots }) => slots > 0).map(({ route }) => route)
      const bell = bells('claims')
      // A claim that offers nothing ends the wait of the one before it, whose answer nobody hears: it must not take a ring.
      if (names.length === 0) app.background(c, leave(bell, instance))
      let unheard: readonly string[] = []
      if (claimed.jobs.length === 0 && names.length > 0 && wait_ms > 0) {
        const again = await lookAgain({
          app,
          bell,
          key: instance,
          names,
          host: claimed.host,
          deadline,
          signal,
          look,
        })
        claimed = again.claimed
        unheard = again.unheard
      }
      if (!claimed.passed) {
        // A later claim overtook this one while it waited: the ring that woke it, if one did, is for somebody else.
        if (unheard.length > 0) await bell.ring(Object.fromEntries(unheard.map(name => [name, 1])))
        return await explain(c, instance)
      }
      return c.json({ jobs: claimed.jobs.map(toClaimedJob) } satisfies ClaimAnswer)
    },
  )

  /** Why a claim did not pass: only then is it worth a statement. */
  async function explain(c: Context<RunnerEnv>, instance: string): Promise<Response> {
    const orders = await readOrders(db, { runner: c.var.runner, instance, holding: [] })
    if (orders.known) return c.json({ jobs: [] } satisfies ClaimAnswer)
    return await refuseRunner(c, policy, unknownInstance)
  }

  routes.get(
    '/runner/jobs/:id/input',
    described({
      summary: 'The input of a lease',
      tag: 'Runner',
      parameters: [
        { name: 'id', in: 'path', description: 'Job.' },
        { name: 'attempt', in: 'query', description: 'Of the lease.', required: true },
      ],
      answer: {
        description: 'The bytes of `data`.',
        schema: v.string(),
        contentType: 'application/octet-stream',
      },
      refusals: ['unauthorized', 'invalid_request', 'conflict'],
      secured: 'runner',
    }),
    valid('param', v.object({ id: JobId })),
    valid('query', v.object({ attempt: Attempt })),
    async c => {
      const lease = { id: c.req.valid('param').id, attempt: c.req.valid('query').attempt }
      const input = await selectInput(db, { ...lease, runner: c.var.runner })
      if (!input) return await refuseRunner(c, policy, staleLease)
      const headers = { 'content-type': 'application/octet-stream', 'content-encoding': 'identity' }
      if (input.data_parts === 0) return c.body(input.data ?? '', 200, headers)
      const parts = readParts(db, { id: lease.id, kind: 'data', attempt: 0, parts: input.data_parts })
      return c.body(toStream(parts), 200, headers)
    },
  )

  return routes
}

/** Ends whatever waits on a bell under this key. */
async function leave(bell: Bell, key: string): Promise<void> {
  await bell.wait({ ticket: await bell.ticket(), key, waitMs: 0 })
}

function toClaimedJob(row: ClaimedRow): ClaimedJob {
  return {
    id: row.id,
    attempt: row.attempt,
    containers: containersOf(row.route),
    source: row.source === 0 ? 0 : 1,
    destination: row.destination === 0 ? 0 : row.destination === 2 ? 2 : 1,
    requires_proof: row.requires_proof === 1,
    timeout_ms: row.timeout_ms,
    data: row.data,
    data_bytes: row.data_bytes,
    endpoint: row.endpoint,
  }
}
