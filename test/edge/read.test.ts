import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

const mebibyte = 1024 * 1024
const unknown = '01900000-0000-7000-8000-000000000000'
const ip = '198.51.100.1'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo'), policyOf('second')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const create = (containers = ['echo']) => edge.createJob({ containers, data: {} }, { ip })

/** A job and the lease on it. */
async function createLease(containers?: string[]): Promise<ClaimedJob> {
  const id = await create(containers)
  await edge.db.orm.run(`update jobs set priority = 9 where id = '${id}'`)
  const held = await edge.db.orm.all<{ id: string; attempt: number }>(
    `select id, attempt from jobs where state = 'running'`,
  )
  const [job] = await runner.claim({ max: 1, holding: held })
  expect(job?.id).toBe(id)
  return job!
}

async function createDone(output = '1'): Promise<string> {
  const job = await createLease()
  await runner.report([success(job, output)])
  return job.id
}

/** A finished job with a result of about this size, in parts. */
async function createLarge(megabytes: number): Promise<string> {
  const job = await createLease()
  const text = `{"container":"echo","output":"${'x'.repeat(megabytes * mebibyte)}"}`
  const bytes = new TextEncoder().encode(text)
  const size = limits.partBytes
  const parts = Math.ceil(bytes.byteLength / size)
  for (let seq = 0; seq < parts; seq += 1) {
    const path = `/runner/jobs/${job.id}/result/${seq}?attempt=${job.attempt}&kind=result`
    const body = bytes.subarray(seq * size, (seq + 1) * size)
    expect((await runner.send(path, { method: 'PUT', body })).status).toBe(200)
  }
  const report = { ...success(job, '1'), result: { parts, bytes: bytes.byteLength } }
  expect(await runner.report([report])).toMatchObject([{ answer: 'accepted' }])
  return job.id
}

const get = (query: string, as = ip) => edge.request(`/api/jobs?${query}`, { ip: as })
const read = async (ids: string[], rest = '') =>
  (await (await get(`${ids.map(id => `id=${id}`).join('&')}${rest}`)).json()) as {
    id: string
    status: string
    result: unknown
  }[]

describe('GET /api/jobs?id=', () => {
  test('default: ended jobs first, then pending ones, each in the order asked for', async () => {
    const pending = [await create(), await create()]
    const done = [await createDone('"x"'), await createDone('2')]
    const results = await read([pending[1]!, done[1]!, pending[0]!, done[0]!])
    expect(results).toEqual([
      { id: done[1], status: 'success', result: { container: 'echo', output: 2 } },
      { id: done[0], status: 'success', result: { container: 'echo', output: 'x' } },
      { id: pending[1], status: 'running', result: null },
      { id: pending[0], status: 'running', result: null },
    ])
  })

  test('behavior: a repeated id repeats, an unknown one and one of others is left out', async () => {
    const id = await createDone()
    const results = await read([id, unknown, id, 'not-an-id'])
    expect(results.map(result => result.id)).toEqual([id, id])
    expect(await (await get(`id=${id}`, '198.51.100.2')).json()).toEqual([])
    expect(await read([unknown])).toEqual([])
  })

  test('behavior: a failed container is a failed job, with its error', async () => {
    const job = await createLease()
    const text = '{"container":"echo","error":"status 500","code":"container_error"}'
    const report = {
      ...success(job, '1'),
      status: 'failed' as const,
      error_code: 'container_error',
      result: { text },
    }
    await runner.report([report])
    expect(await (await get(`id=${job.id}`)).text()).toBe(
      `[{"id":"${job.id}","status":"failed","result":${text}}]`,
    )
  })

  test('behavior: a job that ended without its containers tells why', async () => {
    const id = await create()
    await edge.db.orm.run(`update jobs set expires_at = 0 where id = '${id}'`)
    await edge.runSchedule()
    const error = 'No runner took the job before it expired.'
    await expect
      .poll(async () => (await read([id]))[0])
      .toEqual({ id, status: 'failed', result: { container: 'echo', error, code: 'expired' } })
  })

  test('behavior: intermediate=true, and only that, adds intermediate results', async () => {
    const job = await createLease(['echo', 'second'])
    const intermediate = { text: '[{"container":"echo","output":{"b": 1.0,"a":2}}]' }
    await runner.report([{ ...success(job, '2'), intermediate }])
    expect(await (await get(`id=${job.id}&intermediate=true`)).text()).toContain(
      `"intermediate_results":${intermediate.text}}`,
    )
    const single = await createDone()
    expect(await read([single], '&intermediate=true')).toMatchObject([{ intermediate_results: [] }])
    for (const other of ['TRUE', 'false', '1', '']) {
      expect((await read([job.id], `&intermediate=${other}`))[0]).not.toHaveProperty('intermediate_results')
    }
  })

  test('behavior: a hundred ids are read, more are refused', async () => {
    const ids = [await createDone(), ...Array.from({ length: 99 }, () => unknown)]
    expect(await read(ids)).toHaveLength(1)
    expect(await refusalOf(await get([...ids, unknown].map(id => `id=${id}`).join('&')))).toEqual({
      status: 413,
      code: 'read_too_large',
      error: 'Too many ids in one request',
      params: { limit: 100 },
    })
  })

  test('behavior: more than 8 MiB of several jobs are refused, of one they are read', async () => {
    const [large, middle] = [await createLarge(9), await createLarge(5)]
    const small = await createDone()
    const refusal = {
      status: 413,
      code: 'read_too_large',
      error: 'These results are too large for one request',
      params: { limit: 8 * mebibyte, bytes: expect.any(Number) },
    }
    expect(await refusalOf(await get(`id=${large}&id=${small}`))).toEqual(refusal)
    expect(await refusalOf(await get(`id=${middle}&id=${middle}`))).toEqual(refusal)
    const [alone] = await read([large])
    expect((alone!.result as { output: string }).output).toHaveLength(9 * mebibyte)
    expect((await read([middle, small])).map(result => result.id)).toEqual([middle, small])
  })
})

describe('GET /api/jobs/:id', () => {
  const full = async (id: string, as = ip) => await edge.request(`/api/jobs/${id}`, { ip: as })
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

  test('default: a job through its life', async () => {
    const id = await edge.createJob({ containers: ['echo', 'second'], data: {} }, { ip })
    const queued = {
      id,
      state: 'queued',
      status: 'running',
      containers: ['echo', 'second'],
      requires_proof: false,
      attempt: 0,
      tries: 0,
      runner: null,
      created_at: time,
      expires_at: time,
      claimed_at: null,
      started_at: null,
      finished_at: null,
      error: null,
      result: null,
      intermediate_results: [],
    }
    expect(await (await full(id)).json()).toEqual(queued)
    await edge.db.orm.run(`update jobs set priority = 9 where id = '${id}'`)
    const [job] = await runner.claim({ max: 1 })
    const running = { ...queued, state: 'running', attempt: 1, runner: runner.id, claimed_at: time }
    expect(await (await full(id)).json()).toEqual(running)
    const leases = [{ id, attempt: 1, started: true }]
    await runner.post('/runner/heartbeat', { instance: runner.instance, leases, containers: [] })
    expect(await (await full(id)).json()).toEqual({ ...running, tries: 1, started_at: time })
    const intermediate = { text: '[{"container":"echo","output":1}]' }
    await runner.report([{ ...success(job!, '2'), intermediate }])
    expect(await (await full(id)).json()).toEqual({
      ...running,
      state: 'success',
      status: 'success',
      tries: 1,
      started_at: time,
      finished_at: time,
      result: { container: 'second', output: 2 },
      intermediate_results: [{ container: 'echo', output: 1 }],
    })
  })

  test('behavior: a failure names its code', async () => {
    const job = await createLease()
    const text = '{"container":"echo","error":"boom"}'
    await runner.report([{ ...success(job, '1'), status: 'failed', error_code: 'timeout', result: { text } }])
    expect(await (await full(job.id)).json()).toMatchObject({
      state: 'failed',
      error: { code: 'timeout', message: 'boom' },
      result: { container: 'echo', error: 'boom' },
    })
  })

  test.for([
    ['a half of a pair', '\\ud800', '\ufffd'],
    ['NUL', 'a\\u0000b', 'ab'],
    ['a pair that the cut divides', `${'x'.repeat(1_023)}🦜`, `${'x'.repeat(1_023)}\ufffd`],
  ] as const)(
    'behavior: a failure with %s in its message is told all the same',
    async ([, error, message]) => {
      const job = await createLease()
      const text = `{"container":"echo","error":"${error}"}`
      await runner.report([{ ...success(job, '1'), status: 'failed', error_code: null, result: { text } }])
      const answer = await (await full(job.id)).text()
      expect(JSON.parse(answer)).toMatchObject({ error: { code: 'container_error', message } })
      expect(answer).toContain(`"result":${text}`)
    },
  )

  test('behavior: 404 for an unknown id and for one of others', async () => {
    const notFound = { status: 404, code: 'not_found', error: 'Job not found', params: {} }
    const id = await create()
    expect(await refusalOf(await full(id, '198.51.100.2'))).toEqual(notFound)
    for (const other of [unknown, 'x', '%00', "' or 1=1 --", 'stream']) {
      expect(await refusalOf(await full(other))).toEqual(notFound)
    }
  })
})
