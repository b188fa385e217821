import { zeroAddress } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAdmin } from '../../src/client/admin.ts'
import { type Client, createClient } from '../../src/client/client.ts'
import { InfernetError } from '../../src/client/error.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { infoOf, startFakeNode } from './fake-node.ts'
import { chained, failure, serve } from './serve.ts'

let edge: TestEdge
let runner: TestRunner
let owners = 0

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [
    policyOf('echo'),
    policyOf('upper'),
    policyOf('inner', { external: false }),
  ])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

/** A client with an address, and so jobs, of its own. */
function setup(): Client {
  owners += 1
  return createClient({ url: edge.url, headers: { 'cf-connecting-ip': `10.0.0.${owners}` } })
}

test('default: a job is created, waited for and read', async () => {
  const client = setup()
  await using _ = serve(runner)
  const { id, offline } = await client.createJob({ containers: ['echo'], data: { prompt: 'café ☃' } })
  expect(offline).toBe(false)
  const { created_at, expires_at, claimed_at, started_at, finished_at, ...job } = await client.waitForJob(id)
  expect(job).toEqual({
    id,
    state: 'success',
    status: 'success',
    containers: ['echo'],
    requires_proof: false,
    attempt: 1,
    tries: 1,
    runner: runner.id,
    error: null,
    result: { container: 'echo', output: { prompt: 'café ☃' } },
    intermediate_results: [],
    images: null,
    waiting: null,
    stream: null,
    subscription: null,
  })
  expect(await client.getResults([id])).toEqual([
    { id, status: 'success', result: { container: 'echo', output: { prompt: 'café ☃' } } },
  ])
})

test('behavior: raw JSON goes in and out byte for byte', async () => {
  const client = setup()
  await using _ = serve(runner)
  const dataJson = '{"b": 1.0, "1":9007199254740993,\n "s":"\\u00e9"}'
  const { id } = await client.createJob({ containers: ['echo'], dataJson })
  await client.waitForJob(id)
  expect(await client.getOutputText(id)).toBe(dataJson)
  expect(await client.getResultsText([id])).toBe(
    `[{"id":"${id}","status":"success","result":{"container":"echo","output":${dataJson}}}]`,
  )
})

test('behavior: raw JSON that is not one object is not sent', async () => {
  const client = setup()
  for (const dataJson of ['{},"containers":["inner"]', '[]', 'null', '', '{"x":NaN}', '{"x":"\ud800"}']) {
    await expect(client.createJob({ containers: ['echo'], dataJson })).rejects.toMatchObject({
      name: 'InfernetError',
      status: null,
      code: 'invalid_request',
    })
  }
})

test('behavior: a body over the limit is not sent', async () => {
  const data = { x: 'x'.repeat(16 * 1024 * 1024) }
  await expect(setup().createJob({ containers: ['echo'], data })).rejects.toMatchObject({
    code: 'body_too_large',
    params: { limit: 16 * 1024 * 1024 },
  })
})

test('behavior: a large input and output pass', async () => {
  const client = setup()
  const data = { x: 'x'.repeat(2 * 1024 * 1024) }
  const { id } = await client.createJob({ containers: ['echo'], data })
  const [job] = await runner.claim()
  const input = await fetch(new URL(`/runner/jobs/${id}/input?attempt=1`, edge.url), {
    headers: { authorization: `Bearer ${await runner.token()}` },
  })
  expect(await input.json()).toEqual(data)
  await runner.report([success(job!, '{"ok":true}')])
  expect(await client.getOutputText(id)).toBe('{"ok":true}')
})

test('behavior: a refusal is an error with its status, code and params', async () => {
  const refused = setup().createJob({ containers: ['nope'], data: {} })
  await expect(refused).rejects.toBeInstanceOf(InfernetError)
  await expect(refused).rejects.toMatchObject({
    status: 422,
    code: 'unsupported_container',
    message: 'Container not supported',
    params: { container: 'nope' },
    retryAfterMs: null,
  })
})

test('behavior: the jobs of a batch are judged one by one', async () => {
  const client = setup()
  const items = await client.createJobs([
    { containers: ['echo'], data: { n: 1 } },
    { containers: ['inner'], data: {} },
    { containers: ['echo'], dataJson: '{"n":2}' },
  ])
  expect(items).toEqual([
    { id: expect.any(String) },
    {
      error: expect.objectContaining({
        status: 403,
        code: 'not_external',
        params: { first_container: 'inner' },
      }),
    },
    { id: expect.any(String) },
  ])
  expect((await runner.claim()).map(job => job.data)).toEqual(['{"n":1}', '{"n":2}'])
})

test('behavior: a job whose container failed is an answer, not an error', async () => {
  const client = setup()
  await using _ = serve(runner, job => failure(job, 'out of memory'))
  const { id } = await client.createJob({ containers: ['echo'], data: {} })
  expect(await client.waitForJob(id)).toMatchObject({
    state: 'failed',
    result: { container: 'echo', error: 'out of memory' },
  })
  expect(await client.getOutputText(id)).toBeNull()
})

test('behavior: intermediate results are read on demand', async () => {
  const client = setup()
  await using _ = serve(runner, job => chained(job, { said: '{"step":1}', output: '"done"' }))
  const { id } = await client.createJob({ containers: ['echo', 'upper'], data: {} })
  await client.waitForJob(id)
  const [result] = await client.getResults([id], { intermediate: true })
  expect(result).toEqual({
    id,
    status: 'success',
    result: { container: 'upper', output: 'done' },
    intermediate_results: [{ container: 'echo', output: { step: 1 } }],
  })
  expect((await client.getResults([id]))[0]).not.toHaveProperty('intermediate_results')
})

test('behavior: listing follows pages, newest first, and stops at its limit', async () => {
  const client = setup()
  const ids: string[] = []
  for (let n = 0; n < 7; n += 1) ids.unshift((await client.createJob({ containers: ['echo'], data: {} })).id)
  expect(await collect(client.listJobs())).toEqual(ids)
  expect(await collect(client.listJobs({ limit: 3 }))).toEqual(ids.slice(0, 3))
  expect(await collect(client.listJobs({ pending: true }))).toEqual(ids)
  expect(await collect(client.listJobs({ pending: false }))).toEqual([])
  const jobs = await runner.claim()
  await runner.report(jobs.map(job => success(job, 'null')))
  expect(await collect(client.listJobs({ pending: false }))).toEqual(ids)
})

test('behavior: jobs of another address are not there', async () => {
  const { id } = await setup().createJob({ containers: ['echo'], data: {} })
  const other = setup()
  expect(await other.getResults([id])).toEqual([])
  expect(await other.getOutputText(id)).toBeNull()
  await expect(other.getJob(id)).rejects.toMatchObject({ status: 404, code: 'not_found' })
  await expect(other.waitForJob(id)).rejects.toMatchObject({ code: 'not_found' })
  const [job] = await runner.claim()
  await runner.report([success(job!, 'null')])
})

test('behavior: waiting ends at its timeout, and at the will of its caller', async () => {
  const client = setup()
  const { id } = await client.createJob({ containers: ['echo'], data: {} })
  await expect(client.waitForJob(id, { timeoutMs: 150 })).rejects.toMatchObject({
    status: null,
    code: 'timeout',
    params: { id },
  })
  const gone = new Error('gone')
  const controller = new AbortController()
  setTimeout(() => controller.abort(gone), 100)
  await expect(client.waitForJob(id, { signal: controller.signal })).rejects.toBe(gone)
  const [job] = await runner.claim()
  await runner.report([success(job!, 'null')])
})

test('behavior: a job that no runner online can serve says so', async () => {
  await edge.db.orm.run('update instances set last_seen_at = 0')
  const edgeUrl = new URL(edge.url)
  // The policy is kept for 5 s in the edge.
  await expect
    .poll(async () => (await createClient({ url: edgeUrl }).ready()).checks.runners.ok, { timeout: 10_000 })
    .toBe(false)
  const client = setup()
  expect(await client.createJob({ containers: ['echo'], data: {} })).toMatchObject({ offline: true })
  expect(await client.health()).toEqual({ status: 'healthy' })
  expect(await client.info()).toMatchObject({ containers: [], chain: { enabled: false, address: '' } })
  expect(await client.resources({ modelId: 'a b&c' })).toEqual({})
})

test('behavior: an older node tells nothing of proofs and debts', async () => {
  const { proofs, ...served } = infoOf({ id: 7, coordinator: zeroAddress }).chains[0]!
  const row = {
    ...{ day: '2026-01-31', consumer: null, token: zeroAddress, payment: '0', slashed: '0' },
    ...{ protocol_fee: '0', verifier_fee: '0', gas_used: 1, gas_cost: '2' },
  }
  const day = { ...row, answers: 0, rejected: 0, failed: 0 }
  const entry = { ...row, at: 1, hash: '0x', block: 1, kind: 'expense', subscription: null, interval: null }
  await using node = await startFakeNode(request => {
    if (request === 'GET /info') return { json: { ...infoOf(), chains: [served] } }
    return { json: { chain: 7, rows: [request.includes('by=day') ? day : entry], next: null } }
  })
  expect((await createClient({ url: node.url }).info()).chains).toEqual([{ ...served, proofs }])
  const admin = createAdmin({ url: node.url, token: 'secret' })
  const [days, entries] = [admin.ledger(), admin.ledgerEntries()]
  const debts = { owed: '0', owing: '0' }
  expect((await days.next()).value).toEqual({ ...day, ...debts })
  expect((await entries.next()).value).toEqual({ ...entry, ...debts })
})

test('behavior: not every URL is a node', () => {
  for (const url of ['ftp://node', 'node', 'http://user:secret@node']) {
    expect(() => createClient({ url })).toThrow(TypeError)
  }
})

async function collect(ids: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = []
  for await (const id of ids) all.push(id)
  return all
}
