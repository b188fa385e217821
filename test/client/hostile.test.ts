import { expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { readRetryAfter } from '../../src/client/refusal.ts'
import { id, json, startHostileServer } from './hostile.ts'

const job = { containers: ['echo'], data: {} }

test('behavior: an answer that is not of the protocol is an error that says where', async () => {
  const answers: [string | Uint8Array, string][] = [
    ['<html>', 'not JSON'],
    ['', 'not JSON'],
    [Uint8Array.of(0x22, 0xff, 0x22), 'not UTF-8'],
    ['[]', 'status: expected "status"'],
    ['{"status":"fine"}', 'status: expected ("healthy" | "unhealthy")'],
  ]
  await using server = await startHostileServer((n, response) => response.end(answers[n]?.[0]))
  const client = createClient({ url: server.url })
  for (const [, what] of answers) {
    await expect(client.health()).rejects.toMatchObject({
      status: 200,
      code: 'bad_answer',
      message: `The answer to GET /health is not the protocol's: ${what}`,
    })
  }
  expect(server.requests).toHaveLength(answers.length)
})

test('behavior: a batch answered with another number of items is an error', async () => {
  await using server = await startHostileServer((_, response) => json(response, 200, [{ id }]))
  await expect(createClient({ url: server.url }).createJobs([job, job])).rejects.toMatchObject({
    code: 'bad_answer',
  })
})

test("behavior: a refusal in the reference's form, or in nobody's, is an error all the same", async () => {
  await using server = await startHostileServer((n, response) => {
    if (n === 0) json(response, 405, { error: 'Container not supported', params: { container: 'x' } })
    else if (n === 1) response.writeHead(403, { 'content-type': 'text/html' }).end('<h1>Forbidden</h1>')
    else json(response, 418, { error: 7, code: null, params: [] })
  })
  const client = createClient({ url: server.url })
  await expect(client.createJob(job)).rejects.toMatchObject({
    status: 405,
    code: 'unknown',
    message: 'Container not supported',
    params: { container: 'x' },
  })
  await expect(client.createJob(job)).rejects.toMatchObject({ status: 403, message: 'Unknown error' })
  await expect(client.createJob(job)).rejects.toMatchObject({ status: 418, params: {} })
})

test('behavior: a redirect is not followed, so that no POST becomes a GET', async () => {
  await using server = await startHostileServer((_, response) =>
    response.writeHead(301, { location: 'https://elsewhere.example/api/jobs' }).end(),
  )
  await expect(createClient({ url: server.url }).createJob(job)).rejects.toMatchObject({
    status: 301,
    code: 'redirected',
    message: 'The node redirects to https://elsewhere.example/api/jobs: use that address',
  })
  expect(server.requests).toEqual(['POST /api/jobs'])
})

test('behavior: an answer that drips for ever ends at the timeout', async () => {
  await using server = await startHostileServer((_, response) => {
    response.writeHead(200)
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => clearInterval(timer))
  })
  const began = performance.now()
  const client = createClient({ url: server.url, timeoutMs: 300, retries: 0 })
  await expect(client.health()).rejects.toMatchObject({ status: null, code: 'timeout' })
  expect(performance.now() - began).toBeLessThan(3_000)
})

test('behavior: pages that lead in a circle, or nowhere, end', async () => {
  await using server = await startHostileServer((n, response) =>
    json(
      response,
      200,
      [id],
      n < 3 ? { link: '</api/jobs?cursor=c.x>; rel="next"' } : { link: '<http://[>; rel="next"' },
    ),
  )
  const client = createClient({ url: server.url })
  const circle = client.listJobs()
  expect((await circle.next()).value).toBe(id)
  expect((await circle.next()).value).toBe(id)
  await expect(circle.next()).rejects.toMatchObject({ code: 'bad_answer' })
  await client.health().catch(() => {})
  const nowhere = client.listJobs()
  expect((await nowhere.next()).value).toBe(id)
  expect((await nowhere.next()).done).toBe(true)
})

test('behavior: a node under a path, and headers for every request', async () => {
  await using server = await startHostileServer((_, response, request) =>
    json(response, 200, request.headers['x-key'] === 'k' ? { status: 'healthy' } : null),
  )
  for (const url of [`${server.url}/node`, `${server.url}/node/?x#y`]) {
    expect(await createClient({ url, headers: { 'x-key': 'k' } }).health()).toEqual({ status: 'healthy' })
  }
  expect(server.requests).toEqual(['GET /node/health', 'GET /node/health'])
})

test('behavior: a 503 of /ready is an answer', async () => {
  const checks = { database: { ok: false, reason: 'x' }, schema: { ok: true }, runners: { ok: true } }
  await using server = await startHostileServer((n, response) =>
    json(response, 503, n === 0 ? { ready: false, checks } : {}),
  )
  const client = createClient({ url: server.url })
  expect(await client.ready()).toEqual({ ready: false, checks })
  await expect(client.ready()).rejects.toMatchObject({ status: 503, code: 'bad_answer' })
})

test('behavior: Retry-After in seconds, as a date, and as neither', () => {
  const read = (value: string) => readRetryAfter(new Headers({ 'retry-after': value }), Date.UTC(2026, 0, 1))
  expect(read('7')).toBe(7_000)
  expect(read('Thu, 01 Jan 2026 00:00:05 GMT')).toBe(5_000)
  expect(read('Wed, 31 Dec 2025 00:00:00 GMT')).toBe(0)
  expect(read('soon')).toBeNull()
  expect(readRetryAfter(new Headers())).toBeNull()
})
