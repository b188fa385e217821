import { Hono, type MiddlewareHandler } from 'hono'
import * as v from 'valibot'
import { limits } from '../../protocol/limits.ts'
import {
  ControlAnswer,
  ControlRequest,
  HeartbeatAnswer,
  HeartbeatRequest,
  QuestionAnswer,
  RegisterAnswer,
  RegisterRequest,
} from '../../protocol/runner.ts'
import type { Context as App } from '../context.ts'
import { extend } from '../jobs/extend.ts'
import { readOrders } from '../runners/control.ts'
import { answer } from '../runners/questions.ts'
import { maxInstances, register } from '../runners/register.ts'
import type { TokenVerifier } from '../runners/token.ts'
import { type RunnerEnv, refuseRunner, runnerAuth, unauthorized } from './auth.ts'
import { boundedBody, unbroken } from './body.ts'
import { described } from './describe.ts'
import { countValues, isJson, isShallowJson } from './json.ts'
import { unknownInstance } from './lease.ts'
import { refuse } from './refuse.ts'
import { tellEveryChain, tellRequeued } from './rings.ts'
import { claimRoutes } from './runner-claim.ts'
import { reportRoutes } from './runner-report.ts'
import { valid } from './validate.ts'

/** Refuses JSON of so many values that parsing them would take an isolate's whole memory. Parts are no JSON, and are put. */
const boundedJson: MiddlewareHandler = async (c, next) => {
  if (c.req.method === 'POST' && countValues(await unbroken(c.req.text())) > limits.jsonValues) {
    return refuse(c, {
      code: 'invalid_request',
      error: 'Invalid json: too many values',
      params: { limit: limits.jsonValues },
    })
  }
  return await next()
}

const unwelcome = {
  code: 'conflict',
  error: `This process cannot register: its id is another runner's, or ${maxInstances} with this key were heard of in the last two minutes`,
  params: { limit: maxInstances },
} as const

/** What runners call. All requests are authenticated; `src/protocol/runner.ts` says what each means. */
export function runnerRoutes(app: App, verify: TokenVerifier): Hono<RunnerEnv> {
  const { db, bells, config, policy } = app
  const leaseMs = config.LEASE_SECONDS * 1000
  const heartbeatMs = config.HEARTBEAT_SECONDS * 1000
  // The last claim of a process that died may be heard to the end of its wait: it must not be there to take its own lapsed jobs.
  const waitMs = Math.min(limits.claimWaitMs, leaseMs - heartbeatMs)
  const routes = new Hono<RunnerEnv>()
  routes.use('/runner/*', runnerAuth(verify))
  routes.use('/runner/*', boundedBody(limits.runnerBodyBytes))
  routes.use('/runner/*', boundedJson)

  routes.post(
    '/runner/register',
    described({
      summary: 'Announce an instance and its containers',
      tag: 'Runner',
      answer: { description: 'The pace.', schema: RegisterAnswer },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    valid('json', RegisterRequest),
    async c => {
      const request = c.req.valid('json')
      // Every isolate reads all policies at once, in one response.
      if (JSON.stringify(request.containers).length > limits.policyBytes) {
        return refuse(c, {
          code: 'invalid_request',
          error: 'Invalid json: containers: too long',
          params: { limit: limits.policyBytes },
        })
      }
      const registered = await register(db, { ...request, runner: c.var.runner })
      if (registered === null) return await refuseRunner(c, policy, unwelcome)
      // What chains had asked for in vain may be on offer.
      if (registered.isNews) {
        app.background(c, tellEveryChain(app))
        // Its claim that waits looks again, for what it did not offer, or have, before.
        app.background(c, tellRequeued(app, { [request.instance]: 1 }))
      }
      return c.json({
        lease_ms: leaseMs,
        heartbeat_ms: heartbeatMs,
        wait_ms: waitMs,
      } satisfies RegisterAnswer)
    },
  )

  routes.post(
    '/runner/heartbeat',
    described({
      summary: 'Renew leases',
      tag: 'Runner',
      answer: { description: 'Leases that are gone.', schema: HeartbeatAnswer },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    valid('json', HeartbeatRequest),
    async c => {
      const { instance, leases, containers, host } = c.req.valid('json')
      const maxRunMs = config.MAX_RUN_SECONDS * 1000
      const { known, kept } = await extend(db, {
        runner: c.var.runner,
        instance,
        leases,
        containers,
        host,
        leaseMs,
        maxRunMs,
      })
      if (!known) return await refuseRunner(c, policy, unknownInstance)
      const lost = leases.filter(({ id }) => !kept.has(id)).map(({ id, attempt }) => ({ id, attempt }))
      return c.json({ lost } satisfies HeartbeatAnswer)
    },
  )

  routes.post(
    '/runner/control',
    described({
      summary: 'Wait for orders',
      tag: 'Runner',
      answer: { description: 'Orders.', schema: ControlAnswer },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'conflict', 'body_too_large'],
      secured: 'runner',
    }),
    valid('json', ControlRequest),
    async c => {
      const { instance, holding, mode, wait_ms } = c.req.valid('json')
      const { runner } = c.var
      const deadline = app.now() + wait_ms
      const bell = bells('control')
      let ticket = await bell.ticket()
      for (;;) {
        const { known, ...orders } = await readOrders(db, { runner, instance, holding })
        if (!known) return await refuseRunner(c, policy, unknownInstance)
        const news = orders.cancel.length > 0 || orders.questions.length > 0 || orders.mode !== mode
        const waitMs = deadline - app.now()
        if (news || waitMs <= 0 || c.req.raw.signal.aborted) return c.json(orders satisfies ControlAnswer)
        const heard = await bell.wait(
          { ticket, key: instance, names: [instance, runner, 'everyone'], waitMs },
          c.req.raw.signal,
        )
        // Its client has given up on this one and asks anew, which not every host tells us.
        if (heard.isReplaced) return c.json(orders satisfies ControlAnswer)
        ticket = heard
      }
    },
  )

  routes.post(
    '/runner/answer',
    described({
      summary: 'Answer a question',
      tag: 'Runner',
      answer: { description: 'Taken.', schema: v.object({}) },
      refusals: ['unauthorized', 'malformed_json', 'invalid_request', 'body_too_large'],
      secured: 'runner',
    }),
    valid('json', QuestionAnswer),
    async c => {
      const { instance, question, answer: text } = c.req.valid('json')
      if (
        !text.isWellFormed() ||
        !isShallowJson(text) ||
        !isJson(text, value => typeof value === 'object' && value !== null && !Array.isArray(value))
      ) {
        return refuse(c, {
          code: 'invalid_request',
          error: 'Invalid json: answer: must be the text of a JSON object',
        })
      }
      const { runner } = c.var
      const stored = await answer(db, { runner, instance, question, text })
      // Anyone may be told, but nobody is woken for a question that nobody asked.
      if (!stored) return (await policy.readCurrent()).keys.has(runner) ? c.json({}) : unauthorized(c)
      await bells(`question:${question}`).ring({ answer: 10_000 })
      return c.json({})
    },
  )

  routes.route('/', claimRoutes(app))
  routes.route('/', reportRoutes(app))
  return routes
}
