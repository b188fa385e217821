import { Hono, type Context as HonoContext } from 'hono'
import * as v from 'valibot'
import { StatusRequest } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import { Health, Info, Ready, Resources } from '../../protocol/node.ts'
import { ringEveryone } from '../bell/bell.ts'
import { ownerOfChain } from '../chain/owner.ts'
import { readReports } from '../chain/view/reports.ts'
import { readProofsAtStake } from '../chain/view/stakes.ts'
import type { Context as App } from '../context.ts'
import { isEmptyDatabase, isUnavailable, isUnmigrated } from '../db/errors.ts'
import { selectPending } from '../jobs/read.ts'
import { writeStatus } from '../jobs/status.ts'
import { ownerOf } from '../runners/address.ts'
import { ask, readAnswers, selectAnswered } from '../runners/questions.ts'
import type { TokenVerifier } from '../runners/token.ts'
import { version } from '../version.ts'
import { bearer, isAdmin } from './auth.ts'
import { boundedBody } from './body.ts'
import { described } from './describe.ts'
import { refuse } from './refuse.ts'
import { tellEnded } from './rings.ts'
import { valid } from './validate.ts'

/** How long `/resources` waits for runners. Those that are slower are left out, as the reference leaves out silent containers. */
const resourcesMs = 4_000
/** How long the rest may take after the first answer: one of them may be dead, and not yet known to be. */
const stragglerMs = 1_500

const ModelQuery = v.object({
  model_id: v.optional(
    v.pipe(
      v.string(),
      v.maxLength(512),
      v.check(text => !text.includes('\0'), 'must be text'),
    ),
  ),
})

export function nodeRoutes(app: App, verify: TokenVerifier): Hono {
  const { db, bells, policy, config } = app
  const routes = new Hono()

  routes.get(
    '/health',
    described({
      summary: 'Liveness',
      tag: 'Node',
      answer: { description: 'The edge runs.', schema: Health },
    }),
    c => c.json({ status: 'healthy' } satisfies Health),
  )

  routes.get(
    '/info',
    described({
      summary: 'Version, running containers, pending jobs',
      tag: 'Node',
      answer: { description: 'What this node offers.', schema: Info },
    }),
    async c => {
      const owners = config.chains.map(chain => ownerOfChain(chain.config.id))
      const [{ containers, live }, [pending], reports, proofsOf] = await Promise.all([
        policy.read(1_000),
        selectPending(db, owners),
        readReports(app),
        readProofsAtStake(
          db,
          config.chains.map(chain => chain.config.id),
        ),
      ])
      const onchain = pending?.theirs ?? 0
      const ready = new Set(live.flatMap(instance => [...instance.ready.keys()]))
      const info: Info = {
        version,
        containers: [...containers.values()]
          .filter(({ id }) => ready.has(id))
          .map(({ id, description, external, image }) => ({ id, description, external, image })),
        pending: { offchain: (pending?.pending ?? 0) - onchain, onchain },
        // The reference has one chain, and says as whom it sends there.
        chain: { enabled: config.chains.length > 0, address: reports[0]?.signer.address ?? '' },
        chains: reports.map(report => ({ ...report, proofs: proofsOf(report.id) })),
      }
      return c.json(info)
    },
  )

  routes.get(
    '/ready',
    described({
      summary: 'Readiness, with reasons',
      tag: 'Node',
      description: '503 with the same body when a check fails.',
      answer: { description: 'Ready to compute.', schema: Ready },
    }),
    async c => {
      const ready = await checkReady(app)
      return c.json(ready, ready.ready ? 200 : 503)
    },
  )

  routes.get(
    '/resources',
    described({
      summary: "What the containers' /service-resources say",
      tag: 'Node',
      parameters: [
        { name: 'model_id', in: 'query', description: 'Ask whether this model is supported instead.' },
      ],
      answer: { description: 'By container id; silent containers are left out.', schema: Resources },
      refusals: ['invalid_request', 'queue_full'],
    }),
    valid('query', ModelQuery),
    async c => {
      const { live } = await policy.read(1_000)
      if (live.length === 0) return c.json({})
      const asking = ask(db, c.req.valid('query').model_id || null).then(async question => {
        if (question?.asked) await bells('control').ring(ringEveryone)
        return question
      })
      // Other clients may share the question, and its ring, when this one leaves.
      app.background(
        c,
        asking.catch(() => undefined),
      )
      const question = await asking
      if (!question) return refuse(c, { code: 'queue_full', error: 'Too many questions are open' })
      const bell = bells(`question:${question.id}`)
      const { signal } = c.req.raw
      let deadline = app.now() + resourcesMs
      let ticket = await bell.ticket()
      for (;;) {
        const answered = await selectAnswered(db, question.id)
        if (answered.size > 0) deadline = Math.min(deadline, app.now() + stragglerMs)
        const waitMs = deadline - app.now()
        const over = waitMs <= 0 || signal.aborted
        if (over || live.every(instance => answered.has(instance.id))) {
          return c.json(Object.assign({}, ...(await readAnswers(db, question.id))))
        }
        ticket = await bell.wait({ ticket, key: crypto.randomUUID(), waitMs }, signal)
      }
    },
  )

  routes.put(
    '/api/status',
    described({
      summary: 'Write a status by hand',
      tag: 'Node',
      description:
        'For containers that do work of their own accord. Never touches a job that the queue owns.',
      body: StatusRequest,
      answer: { description: '`null`', schema: v.null_() },
      refusals: ['invalid_request', 'invalid_status', 'forbidden', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    async (c, next) => {
      const allowed = app.peer(c).loopback || (await isAdmin(c, config.ADMIN_TOKEN)) || (await isRunner(c))
      return allowed ? await next() : refuse(c, { code: 'forbidden', error: 'Unauthorized' })
    },
    boundedBody(limits.smallBodyBytes),
    async c => {
      // Whatever its content type says, as the reference does.
      const body: unknown = await c.req.json().catch(() => undefined)
      const request = v.safeParse(StatusRequest, body)
      if (!request.success) return refuse(c, { code: 'invalid_request', error: 'Could not store job status' })
      const { id, status, containers } = request.output
      if (status !== 'success' && status !== 'failed' && status !== 'running') {
        return refuse(c, { code: 'invalid_status', error: 'Status is invalid' })
      }
      const owner = ownerOf(app.peer(c).address)
      const written = await writeStatus(db, { owner, id, state: status, containers })
      if (!written) {
        return refuse(c, { code: 'conflict', error: "This job is the queue's", params: { id } })
      }
      if (written.watched && status !== 'running') app.background(c, tellEnded(app, [id]))
      return c.json(null)
    },
  )

  /** A token outlives its runner's revocation, so that is asked for apart. */
  async function isRunner(c: HonoContext): Promise<boolean> {
    const token = bearer(c)
    const runner = token === null ? null : await verify(token)
    return runner !== null && (await policy.readCurrent()).keys.has(runner)
  }

  return routes
}

const outdated = 'The database is older than this code: run db:migrate.'

async function checkReady({ policy }: App): Promise<Ready> {
  try {
    const { schema, live } = await policy.read(1_000)
    const checks = {
      database: { ok: true },
      schema: schema === 'current' ? { ok: true } : { ok: false, reason: outdated },
      runners:
        live.length > 0 ? { ok: true } : { ok: false, reason: 'No runner was heard of in the last minute.' },
    }
    return { ready: checks.schema.ok && checks.runners.ok, checks }
  } catch (error) {
    const unmigrated = isUnmigrated(error)
    if (!unmigrated && !isUnavailable(error)) throw error
    const unknown = { ok: false, reason: 'Not known without the database.' }
    return {
      ready: false,
      checks: {
        database: unmigrated ? { ok: true } : { ok: false, reason: 'The database does not answer.' },
        schema: unmigrated
          ? {
              ok: false,
              reason: isEmptyDatabase(error) ? 'The database was never migrated: run db:migrate.' : outdated,
            }
          : unknown,
        runners: unknown,
      },
    }
  }
}
