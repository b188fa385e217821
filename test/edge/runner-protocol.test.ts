import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

const unknownJob = '01900000-0000-7000-8000-000000000000'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge({ vars: { LEASE_SECONDS: '90', HEARTBEAT_SECONDS: '30', MAX_TRIES: '2' } })
  runner = await startTestRunner(edge, [policyOf('a'), policyOf('b', { generates_proofs: true })])
})
afterAll(async () => await edge[Symbol.asyncDispose]())
beforeEach(async () => await edge.db.orm.run('delete from jobs'))

const create = (containers = ['a'], rest: object = {}) =>
  edge.createJob({ containers, data: { n: 1 }, ...rest })
const beat = async (leases: object[], containers: object[] = []) => {
  const response = await runner.post('/runner/heartbeat', { instance: runner.instance, leases, containers })
  expect(response.status).toBe(200)
  return (await response.json()) as { lost: unknown[] }
}
const stateOf = async (id: string) =>
  (await (await edge.request(`/api/jobs/${id}`)).json()) as { state: string }
const lapse = () => edge.db.orm.run(`update jobs set lease_expires_at = 0 where state = 'running'`)

describe('register', () => {
  test('default: the pace of the edge', async () => {
    const body = { instance: randomUUID(), version: 'x', containers: [policyOf('a'), policyOf('b')] }
    const response = await runner.post('/runner/register', body)
    expect(await response.json()).toEqual({ lease_ms: 90_000, heartbeat_ms: 30_000, wait_ms: 25_000 })
  })

  test('behavior: a runner that restarts with the same containers does not change the policy', async () => {
    const epoch = async () => await edge.db.orm.all('select epoch from policy')
    const before = await epoch()
    const containers = [policyOf('a'), policyOf('b', { generates_proofs: true })]
    const other = await startTestRunner(edge, [])
    expect(await epoch()).not.toEqual(before)
    const enrolled = await epoch()
    await runner.post('/runner/register', { instance: randomUUID(), version: 'x', containers })
    await runner.post('/runner/register', { instance: randomUUID(), version: 'y', containers })
    await other.post('/runner/register', { instance: randomUUID(), version: 'y', containers: [] })
    const settled = await epoch()
    await runner.post('/runner/register', { instance: randomUUID(), version: 'z', containers })
    expect(await epoch()).toEqual(settled)
    expect(settled).not.toEqual(before)
    expect(enrolled).toBeDefined()
  })

  test('error: so many processes with one key that another would be one too many', async () => {
    const many = await startTestRunner(edge, [])
    const register = async () =>
      await many.post('/runner/register', { instance: randomUUID(), version: 'x', containers: [] })
    for (let alive = 1; alive < 16; alive += 1) expect((await register()).status).toBe(200)
    const refused = await register()
    expect(await refusalOf(refused)).toMatchObject({ status: 409, code: 'conflict', params: { limit: 16 } })
    await edge.db.orm.run(
      `update instances set last_seen_at = last_seen_at - 120000 where runner = '${many.id}'`,
    )
    expect((await register()).status).toBe(200)
  })

  test('behavior: a policy that every isolate would have to carry is bounded', async () => {
    const image = 'x'.repeat(1_000)
    const containers = Array.from({ length: 256 }, (_, index) =>
      policyOf(`c${index}`, { image, description: image }),
    )
    const response = await runner.post('/runner/register', {
      instance: randomUUID(),
      version: 'x',
      containers,
    })
    expect(await refusalOf(response)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      params: { limit: 262_144 },
    })
  })

  test.for([
    [{ instance: 'x' }, 'instance'],
    [{ version: 1 }, 'version'],
    [{ version: '\0' }, 'version: must be text'],
    [{ version: '\ud800' }, 'version: must be text'],
    [{ containers: [{ id: 'a,b' }] }, 'containers.0'],
    [{ containers: [policyOf('-x')] }, 'containers.0.id: must be 1-128'],
  ] as const)('behavior: 400 for %j', async ([fault, error]) => {
    const body = { instance: randomUUID(), version: 'x', containers: [], ...fault }
    const refusal = await refusalOf(await runner.post('/runner/register', body))
    expect(refusal).toMatchObject({
      status: 400,
      code: 'invalid_request',
      error: expect.stringContaining(error),
    })
  })
})

describe('claim', () => {
  test('default: all that a runner needs', async () => {
    const id = await create(['a', 'b'], { requires_proof: true })
    expect(await runner.claim()).toEqual([
      {
        id,
        attempt: 1,
        containers: ['a', 'b'],
        source: 1,
        destination: 1,
        requires_proof: true,
        timeout_ms: null,
        data: '{"n":1}',
        data_bytes: 7,
        endpoint: null,
      },
    ])
  })

  test('behavior: jobs of a lost answer come again at once, and its report is stale', async () => {
    const id = await create()
    const [lost] = await runner.claim()
    const [again] = await runner.claim()
    expect(again).toMatchObject({ id, attempt: 2 })
    expect(await runner.report([success(lost!, '1'), success(again!, '2')])).toEqual([
      { id, attempt: 1, answer: 'stale' },
      { id, attempt: 2, answer: 'accepted' },
    ])
  })

  test('behavior: a claim behind a later one gets nothing', async () => {
    await runner.claim({ seq: 5_000 })
    await create()
    expect(await runner.claim({ seq: 4_999 })).toEqual([])
    expect(await runner.claim({ seq: 5_000 })).toEqual([])
    expect(await runner.claim({ seq: 5_001 })).toHaveLength(1)
    await edge.db.orm.run('update instances set claim_seq = 0')
  })

  test('behavior: an unknown instance is told to register', async () => {
    const response = await runner.postClaim({ instance: randomUUID() })
    expect(await refusalOf(response)).toEqual({
      status: 409,
      code: 'conflict',
      error: 'Unknown instance: register again',
      params: {},
    })
  })

  test.for([
    { max: 0 },
    { max: 65 },
    { wait_ms: 25_001 },
    { seq: 0 },
    { routes: [{ route: '', slots: 1 }] },
    { routes: [{ route: 'a', slots: -1 }] },
    { holding: [{ id: 'x', attempt: 1 }] },
  ])('behavior: 400 for %j', async fault => {
    expect(await refusalOf(await runner.postClaim(fault as never))).toMatchObject({
      status: 400,
      code: 'invalid_request',
    })
  })
})

describe('heartbeat', () => {
  test('behavior: of a process that is not registered it changes nothing', async () => {
    const id = await create()
    await runner.claim()
    const lease = async () =>
      await edge.db.orm.all(`select instance, lease_expires_at, tries from jobs where id = '${id}'`)
    const before = await lease()
    const leases = [{ id, attempt: 1, started: true }]
    const response = await runner.post('/runner/heartbeat', {
      instance: randomUUID(),
      leases,
      containers: [],
    })
    expect(response.status).toBe(409)
    expect(await lease()).toEqual(before)
  })

  test('default: started is counted once for each attempt, and lost leases are named', async () => {
    const id = await create()
    const [job] = await runner.claim()
    const lease = { id, attempt: job!.attempt, started: true }
    const unknown = { id: unknownJob, attempt: 1 }
    expect(await beat([lease, { ...unknown, started: false }])).toEqual({ lost: [unknown] })
    expect(await beat([lease])).toEqual({ lost: [] })
    expect(await stateOf(id)).toMatchObject({ attempt: 1, tries: 1, started_at: expect.any(String) })
  })

  test('behavior: a lease that lapsed unclaimed is taken up again; a claimed one is lost', async () => {
    const id = await create()
    const [job] = await runner.claim()
    const other = await startTestRunner(edge, [policyOf('a')])
    await lapse()
    await edge.runSchedule()
    await expect.poll(() => stateOf(id)).toMatchObject({ state: 'queued' })
    expect(await beat([{ id, attempt: job!.attempt, started: false }])).toEqual({ lost: [] })
    expect(await stateOf(id)).toMatchObject({ state: 'running', attempt: 1 })
    await lapse()
    expect(await other.claim()).toMatchObject([{ id, attempt: 2 }])
    expect(await beat([{ id, attempt: 1, started: false }])).toEqual({ lost: [{ id, attempt: 1 }] })
  })

  test('behavior: health makes a container online', async () => {
    await beat([], [{ id: 'a', health: 'ready' }])
    const info = async () => (await (await edge.request('/info')).json()) as { containers: { id: string }[] }
    await expect
      .poll(async () => (await info()).containers.map(({ id }) => id), { timeout: 8_000 })
      .toEqual(['a'])
  })

  test('behavior: a job that was started twice and lost twice fails', async () => {
    const id = await create()
    for (const attempt of [1, 2]) {
      const [job] = await runner.claim()
      expect(job).toMatchObject({ id, attempt })
      await beat([{ id, attempt, started: true }])
      await lapse()
    }
    expect(await runner.claim()).toEqual([])
    expect(await stateOf(id)).toMatchObject({
      state: 'failed',
      tries: 2,
      error: { code: 'lease_lost', message: 'The runner stopped answering, 2 times.' },
      result: { container: 'a', error: 'The runner stopped answering, 2 times.', code: 'lease_lost' },
    })
  })
})

describe('report', () => {
  test('default: accepted, then duplicate; late ones too, until somebody else has the job', async () => {
    const [first, second] = [await create(), await create()]
    const jobs = await runner.claim()
    await lapse()
    await edge.runSchedule()
    await expect.poll(() => stateOf(first!)).toMatchObject({ state: 'queued' })
    const other = await startTestRunner(edge, [policyOf('a')])
    await other.claim({ max: 1 })
    const reports = jobs.map(job => success(job, '1'))
    expect((await runner.report(reports)).map(({ answer }) => answer)).toEqual(['stale', 'accepted'])
    expect((await runner.report(reports)).map(({ answer }) => answer)).toEqual(['stale', 'duplicate'])
    expect(await stateOf(second!)).toMatchObject({ state: 'success' })
  })

  test.for([
    { status: 'cancelled' },
    { error_code: 'x'.repeat(65) },
    { error_code: '\u0000' },
    { result: { parts: 0, bytes: 0 } },
    { result: { parts: 1, bytes: 64 * 1024 * 1024 + 1 } },
    { attempt: 0 },
    { id: 'x' },
  ])('behavior: 400 for %j', async fault => {
    const report = { ...success({ id: unknownJob, attempt: 1, containers: ['a'] } as never, '1'), ...fault }
    const response = await runner.post('/runner/report', { instance: runner.instance, results: [report] })
    expect(await refusalOf(response)).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test("behavior: the images that its containers ran are told with the job, and not in the reference's answer", async () => {
    const id = await create(['a', 'b'])
    const [job] = await runner.claim()
    if (job === undefined) throw new Error('No job')
    const images = { a: `org/a@sha256:${'a'.repeat(64)}`, b: `sha256:${'b'.repeat(64)}` }
    await runner.report([{ ...success(job, '1'), images }])
    expect(await stateOf(id)).toMatchObject({ state: 'success', images })
    const [listed] = (await (await edge.request(`/api/jobs?id=${id}`)).json()) as object[]
    expect(Object.keys(listed ?? {})).toEqual(['id', 'status', 'result'])
    const other = await create(['a'])
    const [plain] = await runner.claim()
    if (plain === undefined) throw new Error('No job')
    await runner.report([success(plain, '1')])
    expect(await stateOf(other)).not.toHaveProperty('images')
  })

  test('behavior: 1 to 64 results', async () => {
    const report = success({ id: unknownJob, attempt: 1, containers: ['a'] } as never, '1')
    for (const length of [0, 65]) {
      const results = Array.from({ length }, () => report)
      const response = await runner.post('/runner/report', { instance: runner.instance, results })
      expect(response.status).toBe(400)
    }
  })
})

describe('parts', () => {
  const put = async (path: string, body: string | Uint8Array<ArrayBuffer> = 'x') =>
    await runner.send(`/runner/jobs/${path}`, { method: 'PUT', body })

  test('default: 256 KiB are taken, none or more are not', async () => {
    const id = await create()
    await runner.claim()
    const path = `${id}/result/0?attempt=1&kind=result`
    expect(await (await put(path, new Uint8Array(limits.partBytes))).json()).toEqual({})
    for (const size of [0, limits.partBytes + 1]) {
      expect(await refusalOf(await put(path, new Uint8Array(size)))).toEqual({
        status: 413,
        code: 'body_too_large',
        error: 'A part has 1 byte to 256 KiB',
        params: { limit: limits.partBytes },
      })
    }
  })

  test('behavior: a part beyond the largest result is refused', async () => {
    const lastPart = limits.resultBytes / limits.partBytes - 1
    const id = await create()
    await runner.claim()
    expect((await put(`${id}/result/${lastPart}?attempt=1&kind=intermediate`)).status).toBe(200)
    expect(await refusalOf(await put(`${id}/result/${lastPart + 1}?attempt=1&kind=result`))).toMatchObject({
      status: 413,
      code: 'body_too_large',
      params: { limit: 64 * 1024 * 1024 },
    })
  })

  test.for([
    '0?attempt=1&kind=data',
    '0?attempt=0&kind=result',
    '0?kind=result',
    '-1?attempt=1&kind=result',
    'x?attempt=1&kind=result',
    '0?attempt=1.5&kind=result',
  ])('behavior: 400 for %s', async rest => {
    expect(await refusalOf(await put(`${unknownJob}/result/${rest}`))).toMatchObject({ status: 400 })
  })

  test('behavior: 409 without the lease', async () => {
    const stale = { status: 409, code: 'conflict', error: 'The lease is not yours any more', params: {} }
    expect(await refusalOf(await put(`${unknownJob}/result/0?attempt=1&kind=result`))).toEqual(stale)
    expect(await refusalOf(await runner.send(`/runner/jobs/${unknownJob}/input?attempt=1`))).toEqual(stale)
  })
})
