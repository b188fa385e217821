import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { InfernetError } from '../../src/client/error.ts'
import { retryDelayMs } from '../../src/client/retry.ts'
import { freePort } from '../../src/local/port.ts'
import { id, json, startHostileServer } from './hostile.ts'

const job = { containers: ['echo'], data: {} }
const healthy = { status: 'healthy' }
const full = { code: 'queue_full', error: 'The queue is full', params: {} }
const away = { code: 'database_unavailable', error: 'The database does not answer', params: {} }

test('behavior: a read is sent again after a reset, a 5xx and a cut body', async () => {
  await using server = await startHostileServer((n, response) => {
    if (n === 0) response.socket?.resetAndDestroy()
    else if (n === 1) json(response, 502, 'bad gateway')
    else if (n === 2) {
      response.writeHead(200, { 'content-length': '100' }).write('{"status"')
      setTimeout(() => response.destroy(), 20)
    } else json(response, 200, healthy)
  })
  expect(await createClient({ url: server.url }).health()).toEqual(healthy)
  expect(server.requests).toHaveLength(4)
})

test('behavior: retries are bounded', async () => {
  await using server = await startHostileServer((_, response) => response.socket?.resetAndDestroy())
  const client = createClient({ url: server.url, retries: 2 })
  await expect(client.health()).rejects.toMatchObject({ status: null, code: 'unreachable' })
  expect(server.requests).toHaveLength(3)
})

test.each([
  ['with its key sent again', {}, 4],
  ['without a key not', { idempotencyKey: null }, 1],
])(
  'behavior: after what may have stored it, a create is %s',
  { timeout: 60_000 },
  async (_, options, times) => {
    const endings = {
      reset: response => response.socket?.resetAndDestroy(),
      timeout: () => {},
      internal: response => json(response, 500, { code: 'internal', error: 'x', params: {} }),
      gateway: response => json(response, 502, 'bad gateway'),
      database: response => json(response, 503, away, { 'retry-after': '0' }),
      platform: response => response.writeHead(503).end('Worker exceeded resource limits'),
    } satisfies Record<string, (response: Parameters<Parameters<typeof startHostileServer>[0]>[1]) => void>
    const seen: Record<string, [unknown, number]> = {}
    for (const [name, end] of Object.entries(endings)) {
      await using server = await startHostileServer((_, response) => end(response))
      const client = createClient({ url: server.url, timeoutMs: 1_000 })
      const error = await client.createJob(job, options).catch(error => error)
      seen[name] = [error.code, server.requests.length]
    }
    expect(seen).toEqual({
      reset: ['unreachable', times],
      timeout: ['timeout', times],
      internal: ['internal', times],
      gateway: ['unknown', times],
      database: ['database_unavailable', times],
      platform: ['unknown', times],
    })
  },
)

test('behavior: a create is sent again after 503 and 429, no sooner than Retry-After says', async () => {
  await using server = await startHostileServer((n, response) => {
    if (n === 0) json(response, 503, full, { 'retry-after': '1' })
    else if (n === 1) json(response, 429, 'slow down', { 'retry-after': '0' })
    else json(response, 200, { id })
  })
  const began = performance.now()
  expect(await createClient({ url: server.url }).createJob(job)).toEqual({
    id,
    offline: false,
    replayed: false,
  })
  expect(performance.now() - began).toBeGreaterThanOrEqual(1000)
  expect(server.requests).toHaveLength(3)
})

test('behavior: a create is sent again when nobody listened', async () => {
  const port = await freePort()
  const refused = Promise.withResolvers<void>()
  const client = createClient({
    url: `http://127.0.0.1:${port}`,
    retries: 20,
    fetch: (...request) => fetch(...request).finally(refused.resolve),
  })
  const creating = client.createJob(job)
  await refused.promise
  const server = createServer((_, response) => json(response, 200, { id })).listen(port, '127.0.0.1')
  expect(await creating).toEqual({ id, offline: false, replayed: false })
  server.closeAllConnections()
  server.close()
})

test('behavior: a longer Retry-After than we wait is the caller to decide on', async () => {
  await using server = await startHostileServer((_, response) =>
    json(response, 503, { code: 'no_runner', error: 'No runner', params: {} }, { 'retry-after': '30' }),
  )
  await expect(createClient({ url: server.url }).createJob(job)).rejects.toMatchObject({
    status: 503,
    code: 'no_runner',
    retryAfterMs: 30_000,
  })
  expect(server.requests).toHaveLength(1)
})

test('behavior: a caller who aborts gets its own reason, at once, between attempts too', async () => {
  await using server = await startHostileServer((_, response) =>
    json(response, 503, full, { 'retry-after': '9' }),
  )
  const reason = new Error('enough')
  const controller = new AbortController()
  setTimeout(() => controller.abort(reason), 100)
  const began = performance.now()
  const client = createClient({ url: server.url })
  await expect(client.createJob(job, { signal: controller.signal })).rejects.toBe(reason)
  expect(performance.now() - began).toBeLessThan(2_000)
})

test('behavior: waiting outlives a node that is away', async () => {
  await using server = await startHostileServer((n, response) => {
    if (n < 3) response.socket?.resetAndDestroy()
    else json(response, 200, ended)
  })
  expect(await createClient({ url: server.url, retries: 0 }).waitForJob(id)).toEqual({
    ...ended,
    images: null,
    waiting: null,
    stream: null,
    subscription: null,
  })
})

test('behavior: delays have full jitter over a growing, bounded ceiling', () => {
  const error = new InfernetError('x', { status: 503, code: 'unknown' })
  const delays = (random: () => number) =>
    Array.from({ length: 8 }, (_, attempt) => retryDelayMs({ error, attempt, repeatable: true, random }))
  expect(delays(() => 1)).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
  expect(delays(() => 0)).toEqual(Array(8).fill(0))
})

const at = '2026-01-01T00:00:00.000Z'
const ended = {
  id,
  state: 'expired',
  status: 'failed',
  containers: ['echo'],
  requires_proof: false,
  attempt: 0,
  tries: 0,
  runner: null,
  created_at: at,
  expires_at: at,
  claimed_at: null,
  started_at: null,
  finished_at: at,
  error: { code: 'expired', message: 'Expired' },
  result: null,
  intermediate_results: [],
}
