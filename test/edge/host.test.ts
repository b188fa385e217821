import type { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createApp, onSchedule } from '../../src/edge/app.ts'
import { createBells } from '../../src/edge/bell/bell.ts'
import { createEnds, type Ends } from '../../src/edge/bell/ends.ts'
import { createRinger } from '../../src/edge/bell/ringer.ts'
import { parseConfig, relayOptionsOf } from '../../src/edge/config.ts'
import type { Context } from '../../src/edge/context.ts'
import { openDb } from '../../src/edge/db/open.ts'
import { createCreate } from '../../src/edge/routes/creating.ts'
import { jobReadRoutes } from '../../src/edge/routes/job-read.ts'
import { openAiRoutes } from '../../src/edge/routes/openai.ts'
import { onError } from '../../src/edge/routes/refuse.ts'
import { createPolicyCache } from '../../src/edge/runners/policy.ts'
import { createWhyWaiting } from '../../src/edge/runners/waiting.ts'
import { listenForEnd } from '../../src/edge/stream/over.ts'
import type { Relays } from '../../src/edge/stream/relay.ts'
import { createRelays } from '../../src/edge/stream/relays.ts'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import { failure } from '../client/serve.ts'
import { adminToken, startDatabase } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { startSqlProxy } from '../support/sql-proxy.ts'

/** The app without Workers: in this process, with bells in its memory, as Node and Deno run it. */

let database: LibsqlServer
let context: Context
let app: Hono
let runner: TestRunner
const peer = { address: '127.0.0.1' as string | null, loopback: true }
const background: Promise<unknown>[] = []

beforeAll(async () => {
  database = await startDatabase()
  const config = parseConfig({
    DATABASE_URL: database.url,
    ADMIN_TOKEN: adminToken,
    ORIGIN: 'http://edge.test',
  })
  const db = openDb({ url: database.url })
  const now = () => Date.now()
  const bells = createBells()
  const silent = { info() {}, warn() {}, error() {} }
  context = {
    config,
    db,
    now,
    bells,
    tickers: () => null,
    relays: createRelays({ db, bells, ...relayOptionsOf(config) }),
    policy: createPolicyCache({ db, now }),
    log: silent,
    peer: () => peer,
    background: (_c, work) => void background.push(work),
  }
  app = createApp(context)
  const request = async (url: URL | string, init?: RequestInit) => await app.request(new Request(url, init))
  runner = await startTestRunner(
    { url: 'http://edge.test' },
    [policyOf('echo'), policyOf('chat', { openai: true })],
    request,
  )
})
afterAll(async () => await database.close())

const request = async (path: string, init?: RequestInit) =>
  await app.request(new Request(`http://edge.test${path}`, init))
const body = JSON.stringify({ containers: ['echo'], data: {} })

test('default: a job goes through, woken by the bell', async () => {
  const waiting = runner.claim({ wait_ms: 20_000 })
  const created = await request('/api/jobs', { method: 'POST', body })
  const { id } = (await created.json()) as { id: string }
  const [job] = await waiting
  expect(job).toMatchObject({ id })
  await runner.report([success(job!, '"done"')])
  expect(await (await request(`/api/jobs?id=${id}`)).json()).toMatchObject([{ status: 'success' }])
})

test('behavior: what must go on without the client was handed over, and has ended', async () => {
  background.splice(0)
  await request('/api/jobs', { method: 'POST', body })
  await request('/api/jobs', { method: 'POST', body: '{' })
  expect(background).toHaveLength(2)
  await Promise.all(background)
})

test('behavior: a neighbour on this machine may write a status without a token, others not', async () => {
  const put = async () =>
    await request('/api/status', { method: 'PUT', body: '{"id":"x","status":"success","containers":[]}' })
  expect((await put()).status).toBe(200)
  peer.loopback = false
  expect((await put()).status).toBe(403)
  peer.loopback = true
})

test('behavior: clients without an address share one owner', async () => {
  peer.address = null
  const created = await request('/api/jobs', { method: 'POST', body })
  const { id } = (await created.json()) as { id: string }
  expect((await request(`/api/jobs/${id}`)).status).toBe(200)
  peer.address = '127.0.0.1'
  expect((await request(`/api/jobs/${id}`)).status).toBe(404)
})

test('behavior: a failure that nobody expected tells nothing of our insides', async () => {
  const broken: Context = {
    ...context,
    peer: () => {
      throw new Error('secret inside')
    },
  }
  const response = await createApp(broken).request('http://edge.test/api/jobs')
  expect(response.status).toBe(500)
  expect(await response.json()).toEqual({ code: 'internal', error: 'Internal server error', params: {} })
  const models = await createApp(broken).request('http://edge.test/v1/models')
  expect(models.status).toBe(500)
  expect(await models.json()).toEqual({
    error: { message: 'Internal server error', type: 'server_error', param: null, code: 'internal' },
  })
})

test('behavior: the schedule sweeps', async () => {
  await context.db.orm.run(`update jobs set expires_at = 0 where state = 'queued'`)
  await onSchedule(context)
  expect(await context.db.orm.all(`select id from jobs where state = 'queued'`)).toEqual([])
})

test('behavior: where too many wait already, an answer comes at once and does not say that it waited', async () => {
  const reads = jobReadRoutes(context, {
    ends: { wait: async () => false },
    whyWaiting: createWhyWaiting(context),
  })
  const created = await request('/api/jobs', { method: 'POST', body })
  const { id } = (await created.json()) as { id: string }
  for (const path of [`/api/jobs/${id}`, `/api/jobs?id=${id}`]) {
    const response = await reads.request(path, { headers: { prefer: 'wait=20' } })
    expect(response.status).toBe(200)
    expect(response.headers.get('preference-applied')).toBeNull()
  }
})

test('behavior: where too many wait already, a chat is looked at again after a pause', async () => {
  let looks = 0
  const wait = async () => {
    looks += 1
    return false
  }
  const chats = openAiRoutes(context, {
    ends: { wait },
    create: createCreate(context, createRinger(context)),
  })
  const body = JSON.stringify({ model: 'chat', messages: [] })
  const asked = chats.request('/v1/chat/completions', { method: 'POST', body })
  const [job] = await runner.claim({ wait_ms: 20_000, routes: [{ route: 'chat', slots: 1 }] })
  if (!job) throw new Error('Nothing to claim')
  // As often one that does not pause would look.
  for (let i = 0; i < 10; i += 1) await request(`/api/jobs/${job.id}`)
  await runner.report([success(job, '{"choices":[]}')])
  expect(await (await asked).json()).toEqual({ choices: [] })
  expect(looks).toBeLessThan(5)
})

test('behavior: a new stream takes its seat at the relay behind what is due at once, as the answer to a claim is', async () => {
  let seats = 0
  const relays: Relays = id => {
    const relay = context.relays(id)
    return {
      ...relay,
      async read(reading) {
        seats += 1
        return await relay.read(reading)
      },
    }
  }
  const asked = new Request('http://edge.test/api/jobs/stream', { method: 'POST', body })
  const answer = await createApp({ ...context, relays }).request(asked)
  const reader = answer.body?.getReader()
  const { value: id } = (await reader?.read()) ?? {}
  const output = reader?.read()
  for (let i = 0; i < 1_000; i += 1) await null
  expect(seats).toBe(0)
  await expect.poll(() => seats).toBe(1)
  await request(`/api/jobs/${new TextDecoder().decode(id).trim()}`, { method: 'DELETE' })
  expect(await output).toEqual({ done: true, value: undefined })
})

test('behavior: the end of a new stream is not listened for ahead of its first byte, but right after', async () => {
  let isListening = false
  const wait = async () => {
    isListening = true
    return false
  }
  const { signal } = new AbortController()
  const job = { id: crypto.randomUUID(), owner: 'ip:192.0.2.1' }
  const options = { app: context, ends: { wait }, job, expiresAt: null, isNew: true, signal }
  const over = listenForEnd(options, () => {})
  over.begin()
  // The byte leaves with the next turn of the loop: until then whatever awaits no more than a promise would be ahead of it.
  for (let i = 0; i < 1_000; i += 1) await null
  expect(isListening).toBe(false)
  await expect.poll(() => isListening).toBe(true)
  over.stop()
})

test.for([
  ['heard, before that answers', async (): Promise<boolean> => true],
  [
    'taken to have come where that failed before it listened',
    async (): Promise<boolean> => {
      throw new Error('The database is away')
    },
  ],
] as const)('behavior: a call of a relay does not wait for the database: it is %s', async ([, first]) => {
  const proxy = await startSqlProxy(database.url)
  proxy.down()
  const app = { ...context, db: openDb({ url: proxy.url }) }
  let waits = 0
  const wait = async (): Promise<boolean> => {
    waits += 1
    return waits === 1 ? await first() : await new Promise<never>(() => {})
  }
  const { signal } = new AbortController()
  const job = { id: crypto.randomUUID(), owner: 'ip:192.0.2.1' }
  const onCall = vi.fn()
  const over = listenForEnd({ app, ends: { wait }, job, expiresAt: null, isNew: false, signal }, onCall)
  await expect.poll(() => onCall.mock.calls.length, { timeout: 2_000 }).toBeGreaterThan(0)
  over.stop()
  await proxy.close()
})

test.each([
  ['is cancelled', {}, 'cancelled'],
  ['goes on, where that can come back to it', { 'idempotency-key': 'left' }, 'queued'],
])('behavior: a chat whose client leaves while it is being stored %s', async (_what, headers, state) => {
  const leaving = new AbortController()
  const store = createCreate(context, createRinger(context))
  const create: typeof store = async (c, options) => {
    const outcomes = await store(c, options)
    leaving.abort()
    return outcomes
  }
  const chats = openAiRoutes(context, { ends: createEnds(context), create }).onError(onError(context))
  const body = JSON.stringify({ model: 'chat', messages: [] })
  const response = await chats.request('/v1/chat/completions', {
    method: 'POST',
    headers,
    body,
    signal: leaving.signal,
  })
  await Promise.all(background)
  const job = `/api/jobs/${response.headers.get('infernet-job')}`
  expect(await (await request(job)).json()).toMatchObject({ state })
  await request(job, { method: 'DELETE' })
})

test('behavior: so is one whose client leaves while the database is away, when it is back', async () => {
  const leaving = new AbortController()
  const proxy = await startSqlProxy(database.url)
  const warn = vi.fn()
  const away: Context = { ...context, db: openDb({ url: proxy.url }), log: { ...context.log, warn } }
  const store = createCreate(context, createRinger(context))
  const create: typeof store = async (c, options) => {
    const outcomes = await store(c, options)
    proxy.down()
    leaving.abort()
    return outcomes
  }
  const chats = openAiRoutes(away, { ends: createEnds(context), create }).onError(onError(away))
  const body = JSON.stringify({ model: 'chat', messages: [] })
  const { signal } = leaving
  background.splice(0)
  const { headers } = await chats.request('/v1/chat/completions', { method: 'POST', body, signal })
  await expect.poll(() => warn.mock.calls.length).toBeGreaterThan(0)
  proxy.up()
  await Promise.all(background)
  const job = await request(`/api/jobs/${headers.get('infernet-job')}`)
  expect(await job.json()).toMatchObject({ state: 'cancelled' })
  await proxy.close()
})

test.each([
  ['is cancelled', {}, 'cancelled'],
  ['goes on for its client to come back, where that has a key', { 'idempotency-key': 'again' }, 'queued'],
])('behavior: a chat whose end cannot be read for too long %s', async (_what, headers, state) => {
  let laterMs = 0
  const wait = async () => {
    laterMs += 61_000
    throw new Error('The database is away')
  }
  const waiting: Context = { ...context, now: () => Date.now() + laterMs }
  const create = createCreate(context, createRinger(context))
  const chats = openAiRoutes(waiting, { ends: { wait }, create }).onError(onError(waiting))
  const body = JSON.stringify({ model: 'chat', messages: [] })
  const answer = await chats.request('/v1/chat/completions', { method: 'POST', headers, body })
  expect(answer.status).toBe(500)
  expect(laterMs).toBe(3 * 61_000)
  const job = `/api/jobs/${answer.headers.get('infernet-job')}`
  expect(await (await request(job)).json()).toMatchObject({ state })
  await request(job, { method: 'DELETE' })
})

describe('a host that closes', () => {
  async function askAtClosing(headers: Record<string, string>, stream: boolean) {
    const closing = new AbortController()
    // What waits is ended by the closing, as `startHost` has it.
    const { signal } = closing
    const create = createCreate(context, createRinger(context))
    const ends: Ends = {
      async wait() {
        closing.abort()
        return true
      },
    }
    const host: Context = { ...context, closing: signal }
    const chats = openAiRoutes(host, { ends, create }).onError(onError(host))
    const body = JSON.stringify({ model: 'chat', messages: [], stream })
    const answer = await chats.request('/v1/chat/completions', { method: 'POST', headers, body, signal })
    const { error } = (await answer.json()) as { error: { code: string } }
    await Promise.all(background)
    const job = `/api/jobs/${answer.headers.get('infernet-job')}`
    const { state } = (await (await request(job)).json()) as { state: string }
    await request(job, { method: 'DELETE' })
    return { status: answer.status, retryAfter: answer.headers.get('retry-after'), code: error.code, state }
  }

  const toldToAskAgain = { status: 503, retryAfter: '5', code: 'closing' }

  test.each([false, true])(
    'behavior: tells the client of a chat to ask again, and cancels what would be computed twice: streamed %s',
    async stream => {
      expect(await askAtClosing({}, stream)).toEqual({ ...toldToAskAgain, state: 'cancelled' })
    },
  )

  test.each([false, true])(
    'behavior: leaves the job of a chat to who can come back to it: streamed %s',
    async stream => {
      const answered = await askAtClosing({ 'idempotency-key': `closing-${stream}` }, stream)
      expect(answered).toEqual({ ...toldToAskAgain, state: 'queued' })
    },
  )
})

test('behavior: a host that closes tells who comes back to a stream to ask again', async () => {
  const leaving = new AbortController()
  const body = '{"containers":["chat"],"data":{},"detach":true}'
  const made = await app.request('http://edge.test/api/jobs/stream', {
    method: 'POST',
    body,
    signal: leaving.signal,
  })
  const { value } = (await made.body?.getReader().read()) ?? {}
  const path = `/api/jobs/${new TextDecoder().decode(value).trim()}`
  const { signal } = leaving
  leaving.abort()
  const answer = await app.request(`http://edge.test${path}/stream`, { signal })
  expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'closing' }])
  await request(path, { method: 'DELETE' })
})

describe('a streamed chat that has no first byte leaves its place at the relay', () => {
  function watched({ isCrowded = false } = {}) {
    const seats = { taken: 0, left: 0 }
    const relays: Relays = id => {
      const relay = context.relays(id)
      return {
        ...relay,
        async read(reading) {
          seats.taken += 1
          return isCrowded ? null : await relay.read(reading)
        },
        async leave(leaving) {
          seats.left += 1
          await relay.leave(leaving)
        },
      }
    }
    const body = JSON.stringify({ model: 'chat', messages: [], stream: true })
    const asked = createApp({ ...context, relays }).request('http://edge.test/v1/chat/completions', {
      method: 'POST',
      body,
    })
    return { seats, asked }
  }

  test('behavior: as it fails before', async () => {
    const { seats, asked } = watched()
    const [job] = await runner.claim({ wait_ms: 20_000, routes: [{ route: 'chat', slots: 1 }] })
    if (!job) throw new Error('Nothing to claim')
    await runner.report([failure(job, 'It broke')])
    expect((await asked).status).toBe(502)
    expect(seats).toEqual({ taken: 1, left: 1 })
  })

  test('behavior: as the relay has no place', async () => {
    const { seats, asked } = watched({ isCrowded: true })
    const answer = await asked
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '5'])
    expect(await answer.json()).toMatchObject({ error: { code: 'too_many_readers' } })
    expect(seats).toEqual({ taken: 1, left: 1 })
    await request(`/api/jobs/${answer.headers.get('infernet-job')}`, { method: 'DELETE' })
  })
})
