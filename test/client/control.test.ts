import { randomUUID } from 'node:crypto'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { InfernetError } from '../../src/client/error.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { id, json, startHostileServer } from './hostile.ts'
import { serve } from './serve.ts'

/** Waiting, cancelling, and creating once. */

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const job = { containers: ['echo'], data: { n: 1 } }
const client = () => createClient({ url: edge.url })

/** A proxy that carries requests out and keeps some answers to itself: the first so many, or those that `isLost` names. */
async function startDeafProxy(lost: number | ((path: string) => boolean)) {
  const isLost = typeof lost === 'number' ? () => seen <= lost : lost
  let seen = 0
  const server = createServer((incoming, outgoing) => {
    const target = new URL(incoming.url ?? '/', edge.url)
    const onward = httpRequest(target, { method: incoming.method, headers: incoming.headers }, answer => {
      seen += 1
      if (isLost(incoming.url ?? '')) {
        answer.resume()
        outgoing.destroy()
      } else {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(outgoing)
      }
    })
    incoming.pipe(onward)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

test('default: a job is run in one request', async () => {
  await using _ = serve(runner)
  expect(await client().runJob(job)).toMatchObject({ state: 'success', result: { output: job.data } })
})

test('behavior: a job that takes longer than its first wait is waited for', async () => {
  const running = client().runJob(job, { timeoutMs: 20_000 })
  const [claimed] = await runner.claim({ wait_ms: 10_000 })
  await runner.report([success(claimed!, '2')])
  expect(await running).toMatchObject({ id: claimed!.id, state: 'success', result: { output: 2 } })
})

test('behavior: waiting hears of the end at once, and costs one request', async () => {
  let requests = 0
  const counted = createClient({
    url: edge.url,
    fetch: (...request) => {
      requests += 1
      return fetch(...request)
    },
  })
  const { id } = await counted.createJob(job)
  const jobs = await runner.claim()
  requests = 0
  const waiting = counted.waitForJob(id)
  await expect
    .poll(async () => await edge.db.orm.all(`select 1 from jobs where id = '${id}' and watched = 1`))
    .toHaveLength(1)
  const endedAt = performance.now()
  await runner.report(jobs.map(claimed => success(claimed, '1')))
  expect((await waiting).state).toBe('success')
  expect(performance.now() - endedAt).toBeLessThan(1_000)
  expect(requests).toBe(1)
})

test('behavior: a node that does not wait is polled, ever more slowly', async () => {
  let looks = 0
  await using server = await startHostileServer((_, response) => {
    looks += 1
    const pending = looks < 6
    json(response, 200, {
      ...{ id, state: pending ? 'running' : 'success', status: pending ? 'running' : 'success' },
      ...{ containers: ['echo'], requires_proof: false, attempt: 1, tries: 1, runner: null, error: null },
      ...{ created_at: '2026-01-01T00:00:00Z', expires_at: '2026-01-01T00:00:00Z', claimed_at: null },
      ...{ started_at: null, finished_at: null, result: null, intermediate_results: [] },
    })
  })
  const startedAt = performance.now()
  expect((await createClient({ url: server.url }).waitForJob(id)).state).toBe('success')
  expect(performance.now() - startedAt).toBeGreaterThan(150)
  expect(looks).toBe(6)
})

test('behavior: a wait that is too short says so, and the job goes on', async () => {
  const { id } = await client().createJob(job)
  const waiting = client().waitForJob(id, { timeoutMs: 200 })
  await expect(waiting).rejects.toMatchObject({ code: 'timeout', params: { id } })
  expect((await client().getJob(id)).state).toBe('queued')
  await client().cancelJob(id)
})

test('behavior: aborting a wait does not cancel the job', async () => {
  const { id } = await client().createJob(job)
  const controller = new AbortController()
  const waiting = client().waitForJob(id, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  expect((await client().getJob(id)).state).toBe('queued')
  await client().cancelJob(id)
})

test('behavior: a create whose answers were lost makes one job', async () => {
  await edge.db.orm.run('delete from jobs')
  await using proxy = await startDeafProxy(2)
  const created = await createClient({ url: proxy.url }).createJob(job)
  expect(created).toMatchObject({ replayed: true })
  expect(await edge.db.orm.all('select id from jobs')).toEqual([{ id: created.id }])
})

test('behavior: so does a batch, and a job with an id of its own', async () => {
  await edge.db.orm.run('delete from jobs')
  await using proxy = await startDeafProxy(1)
  const items = await createClient({ url: proxy.url }).createJobs([job, job])
  await using other = await startDeafProxy(1)
  const id = randomUUID()
  expect(await createClient({ url: other.url }).createJob(job, { id })).toMatchObject({ id, replayed: true })
  const rows = await edge.db.orm.all<{ id: string }>('select id from jobs')
  const ids = [...items.map(item => ('id' in item ? item.id : '')), id]
  expect(rows.map(row => row.id).toSorted()).toEqual(ids.toSorted())
})

test('behavior: a key that stands for another job is refused', async () => {
  const idempotencyKey = randomUUID()
  const { id } = await client().createJob(job, { idempotencyKey })
  expect(await client().createJob(job, { idempotencyKey })).toMatchObject({ id, replayed: true })
  const other = client().createJob({ ...job, data: {} }, { idempotencyKey })
  await expect(other).rejects.toMatchObject({ status: 409, code: 'idempotency_conflict' })
})

test('behavior: a job is cancelled, once and again; one that has ended is not', async () => {
  await edge.db.orm.run('delete from jobs')
  const { id } = await client().createJob(job)
  expect(await client().cancelJob(id)).toMatchObject({ id, state: 'cancelled' })
  expect(await client().cancelJob(id)).toMatchObject({ id, state: 'cancelled' })
  await using _ = serve(runner)
  const done = await client().runJob(job)
  await expect(client().cancelJob(done.id)).rejects.toMatchObject({ status: 409, code: 'already_ended' })
  await expect(client().cancelJob(randomUUID())).rejects.toBeInstanceOf(InfernetError)
})

test('behavior: terms go with the job', async () => {
  await edge.db.orm.run('delete from jobs')
  await client().createJob({ ...job, timeout: 2, expires_in: 60, priority: 3 })
  expect(
    await edge.db.orm.all('select timeout_ms, priority, expires_at - created_at as wait from jobs'),
  ).toEqual([{ timeout_ms: 2_000, priority: 3, wait: 60_000 }])
  await expect(client().createJob({ ...job, priority: 11 })).rejects.toMatchObject({
    code: 'invalid_request',
  })
})

test('error: a number that JSON cannot hold is refused here', async () => {
  await using server = await startHostileServer((_, response) => json(response, 200, { id }))
  const asked = createClient({ url: server.url })
  for (const field of ['timeout', 'expires_in', 'priority'])
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      await expect(asked.createJob({ ...job, [field]: value })).rejects.toMatchObject({
        ...{ status: null, code: 'invalid_request', params: { field } },
      })
  expect(server.requests).toEqual([])
})

test('error: so is a key that is no header', async () => {
  await using server = await startHostileServer((_, response) => json(response, 200, { id }))
  const asked = createClient({ url: server.url })
  for (const idempotencyKey of ['', 'two\nlines', 'blank space', 'é', 'k'.repeat(256)])
    await expect(asked.createJob(job, { idempotencyKey })).rejects.toMatchObject({
      ...{ status: null, code: 'invalid_request' },
    })
  expect(server.requests).toEqual([])
})

test('behavior: a job is run once through a proxy that loses answers which take long', async () => {
  await edge.db.orm.run('delete from jobs')
  await using proxy = await startDeafProxy(path => path.startsWith('/api/jobs?wait'))
  await using _ = serve(runner)
  expect(await createClient({ url: proxy.url }).runJob(job)).toMatchObject({ state: 'success' })
  expect(await edge.db.orm.all('select id from jobs')).toHaveLength(1)
})

test('behavior: a run that is too short names the time that it was given', async () => {
  const running = client().runJob(job, { timeoutMs: 300 })
  await expect(running).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('300 ms') })
  await edge.db.orm.run('delete from jobs')
})

test('behavior: a run whose creation is not answered ends soon after its time, and tells what it knows', async () => {
  await using server = await startHostileServer(() => undefined)
  const asked = createClient({ url: server.url })
  const startedAt = performance.now()
  const failed = { status: null, code: 'timeout', message: expect.stringContaining('may have been created') }
  await Promise.all([
    expect(asked.runJob(job, { timeoutMs: 200 })).rejects.toMatchObject({ ...failed, params: {} }),
    expect(asked.runJob(job, { timeoutMs: 200, id })).rejects.toMatchObject({ ...failed, params: { id } }),
  ])
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  expect(server.requests).toHaveLength(2)
})

test('behavior: keys are made where `crypto.randomUUID` is missing, as on pages without TLS', async () => {
  const { randomUUID: missing } = globalThis.crypto
  Object.defineProperty(globalThis.crypto, 'randomUUID', {
    value: undefined,
    configurable: true,
    writable: true,
  })
  try {
    expect(await client().createJob(job)).toMatchObject({ replayed: false })
  } finally {
    Object.defineProperty(globalThis.crypto, 'randomUUID', {
      value: missing,
      configurable: true,
      writable: true,
    })
  }
  await edge.db.orm.run('delete from jobs')
})
