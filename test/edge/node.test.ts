import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [
    policyOf('echo', { description: 'Says it again', image: 'example/echo:1' }),
    policyOf('starting', { external: false }),
  ])
  const health = [
    { id: 'echo', health: 'ready' },
    { id: 'starting', health: 'starting', detail: 'pulling' },
  ]
  await runner.post('/runner/heartbeat', { instance: runner.instance, leases: [], containers: health })
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const getJson = async (path: string) => await (await edge.request(path)).json()

describe('GET /health', () => {
  test('default', async () => expect(await getJson('/health')).toEqual({ status: 'healthy' }))
})

describe('GET /info', () => {
  test('default: containers that are ready, and pending jobs', async () => {
    await edge.createJob({ containers: ['echo'], data: {} })
    expect(await getJson('/info')).toEqual({
      version: '0.1.0',
      containers: [{ id: 'echo', description: 'Says it again', external: true, image: 'example/echo:1' }],
      pending: { offchain: 1, onchain: 0 },
      chain: { enabled: false, address: '' },
      chains: [],
    })
  })
})

describe('offline runners', () => {
  test('behavior: a job for a container that is not ready anywhere is accepted, and the header says so', async () => {
    const response = await edge.create({ containers: ['echo', 'starting'], data: {} })
    expect(response.status).toBe(200)
    expect(response.headers.get('infernet-runner')).toBe('offline')
    const items = ['echo', 'starting'].map(last => ({ containers: ['echo', last], data: {} }))
    const batch = await edge.create(items, { path: '/api/jobs/batch' })
    expect(batch.headers.get('infernet-runner')).toBe('offline')
    const online = await edge.create(items.slice(0, 1), { path: '/api/jobs/batch' })
    expect(online.headers.has('infernet-runner')).toBe(false)
  })
})

describe('GET /resources', () => {
  /** Waits for a question, and answers it. */
  async function answerNext(answer: unknown): Promise<{ id: string; kind: string; model_id: string | null }> {
    const { instance } = runner
    const body = { instance, holding: [], mode: 'run', wait_ms: 20_000 }
    const orders = (await (await runner.post('/runner/control', body)).json()) as { questions: [] }
    const [question] = orders.questions as { id: string; kind: string; model_id: string | null }[]
    const text = JSON.stringify(answer)
    const taken = await runner.post('/runner/answer', { instance, question: question!.id, answer: text })
    expect(await taken.json()).toEqual({})
    return question!
  }

  test('default: runners are asked through their control poll, and what they say comes back at once', async () => {
    const answer = { echo: { service_id: 'echo', compute_capability: [] } }
    const answered = answerNext(answer)
    const startedAt = performance.now()
    expect(await getJson('/resources')).toEqual(answer)
    expect(await answered).toEqual({ id: expect.any(String), kind: 'resources', model_id: null })
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })

  test('behavior: model_id is passed on; clients that ask the same share the question', async () => {
    const answered = answerNext({ echo: { supported: true } })
    const path = '/resources?model_id=org%2Fmodel%3A1'
    const replies = await Promise.all([getJson(path), getJson(path), getJson(path)])
    expect((await answered).model_id).toBe('org/model:1')
    expect(replies).toEqual(replies.map(() => ({ echo: { supported: true } })))
    const asked = await edge.db.orm.all(`select id from questions where model_id = 'org/model:1'`)
    expect(asked).toHaveLength(1)
  })

  test('behavior: silent containers are left out', async () => {
    expect(await getJson('/resources?model_id=silent')).toEqual({})
  })

  test('behavior: an answer that is no JSON object, or to no question, changes nothing', async () => {
    const { instance } = runner
    const question = '01900000-0000-7000-8000-000000000000'
    for (const answer of ['[]', '1', '{', '"x"', '{"x":"\ud800"}']) {
      const response = await runner.post('/runner/answer', { instance, question, answer })
      expect(await refusalOf(response)).toMatchObject({ status: 400, code: 'invalid_request' })
    }
    expect((await runner.post('/runner/answer', { instance, question, answer: '{}' })).status).toBe(200)
    expect(await edge.db.orm.all(`select question from answers where question = '${question}'`)).toEqual([])
  })

  test('behavior: an answer that nests too deep to be written out again is refused', async () => {
    const { instance } = runner
    const question = '01900000-0000-7000-8000-000000000000'
    const deep = (levels: number) => `{"echo":${'{"1":'.repeat(levels)}1${'}'.repeat(levels)}}`
    const answer = async (levels: number) =>
      (await runner.post('/runner/answer', { instance, question, answer: deep(levels) })).status
    expect([await answer(511), await answer(512), await answer(100_000)]).toEqual([200, 400, 400])
  })

  test('behavior: 400 for a model_id that is too long or no text', async () => {
    for (const id of ['x'.repeat(513), '%00']) {
      expect(await refusalOf(await edge.request(`/resources?model_id=${id}`))).toMatchObject({ status: 400 })
    }
  })

  test('behavior: no more than 32 questions are open at once', async () => {
    const ids = Array.from(
      { length: 40 },
      (_, index) => `('q${index}', 'm${index}', unixepoch('subsec') * 1000)`,
    )
    await edge.db.orm.run(`insert into questions (id, model_id, asked_at) values ${ids.join(',')}`)
    expect(await refusalOf(await edge.request('/resources?model_id=one-more'))).toEqual({
      status: 503,
      code: 'queue_full',
      error: 'Too many questions are open',
      params: {},
    })
    await edge.db.orm.run('delete from questions')
  })
})

describe('PUT /api/status', () => {
  const status = { id: 'own-job', status: 'success', containers: ['a', 'b'] }
  const put = async (
    body: unknown,
    headers: Record<string, string> = { authorization: `Bearer ${adminToken}` },
  ) =>
    await edge.request('/api/status', {
      method: 'PUT',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers,
      ip: '198.51.100.7',
    })

  test('default: null, and the status is readable by the address that wrote it', async () => {
    const response = await put(status)
    expect(response.status).toBe(200)
    expect(await response.json()).toBeNull()
    const read = await edge.request('/api/jobs?id=own-job', { ip: '198.51.100.7' })
    expect(await read.json()).toEqual([{ id: 'own-job', status: 'success', result: null }])
    expect(await getJson('/api/jobs?id=own-job')).toEqual([])
  })

  test('behavior: running, then failed; running ones are pending', async () => {
    const running = { ...status, id: 'long-job', status: 'running' }
    await put(running)
    const full = async () => await (await edge.request('/api/jobs/long-job', { ip: '198.51.100.7' })).json()
    const pending = async () =>
      await (await edge.request('/api/jobs?pending=true', { ip: '198.51.100.7' })).json()
    expect(await full()).toMatchObject({ status: 'running', containers: ['a', 'b'], finished_at: null })
    expect(await pending()).toEqual(['long-job'])
    const both = await edge.request('/api/jobs?id=long-job&id=own-job', { ip: '198.51.100.7' })
    expect((await both.json()) as { id: string }[]).toMatchObject([{ id: 'own-job' }, { id: 'long-job' }])
    await put({ ...running, status: 'failed' })
    expect(await full()).toMatchObject({ state: 'failed', result: null, error: null })
    expect(await pending()).toEqual([])
  })

  test("behavior: a runner's token will do, until it is revoked; anything else is 403", async () => {
    const forbidden = { status: 403, code: 'forbidden', error: 'Unauthorized', params: {} }
    const other = await startTestRunner(edge, [])
    const authorization = `Bearer ${await other.token()}`
    expect((await put(status, { authorization })).status).toBe(200)
    await edge.request(`/admin/runners/${other.id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${adminToken}` },
    })
    expect(await refusalOf(await put(status, { authorization }))).toEqual(forbidden)
    const wrong: Record<string, string>[] = [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: adminToken },
    ]
    for (const headers of wrong) expect(await refusalOf(await put(status, headers))).toEqual(forbidden)
    expect(await refusalOf(await put('{', {}))).toEqual(forbidden)
  })

  test('behavior: a job of the queue is not touched', async () => {
    const id = await edge.createJob({ containers: ['echo'], data: {} }, { ip: '198.51.100.7' })
    expect(await refusalOf(await put({ ...status, id }))).toEqual({
      status: 409,
      code: 'conflict',
      error: "This job is the queue's",
      params: { id },
    })
    const read = await edge.request(`/api/jobs/${id}`, { ip: '198.51.100.7' })
    expect(await read.json()).toMatchObject({ state: 'queued', containers: ['echo'] })
  })

  test('behavior: 400 for another status', async () => {
    expect(await refusalOf(await put({ ...status, status: 'expired' }))).toEqual({
      status: 400,
      code: 'invalid_status',
      error: 'Status is invalid',
      params: {},
    })
  })

  test.for([
    '',
    '{',
    '[]',
    '{"id":"x","status":"success"}',
    '{"status":"success","containers":[]}',
    '{"id":"","status":"success","containers":[]}',
    '{"id":"\\u0000","status":"success","containers":[]}',
    '{"id":"\\ud800","status":"success","containers":[]}',
    '{"id":"x","status":1,"containers":[]}',
  ])('behavior: 400 for %s', async body => {
    expect(await refusalOf(await put(body))).toEqual({
      status: 400,
      code: 'invalid_request',
      error: 'Could not store job status',
      params: {},
    })
  })

  test('behavior: 413 for a long body', async () => {
    expect(await refusalOf(await put(JSON.stringify({ ...status, data: 'x'.repeat(65_536) })))).toMatchObject(
      {
        status: 413,
        code: 'body_too_large',
      },
    )
  })
})

describe('other paths', () => {
  const headers = { authorization: `Bearer ${adminToken}` }

  test.for(['/', '/nothing', '/api', '/api/jobs/', '/api/jobs/x/y', '/health/', '/admin/x', '/%00'])(
    'behavior: 404 in JSON for %s',
    async path => {
      const response = await edge.request(path, { headers })
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(await refusalOf(response)).toEqual({
        status: 404,
        code: 'not_found',
        error: 'Not found',
        params: {},
      })
    },
  )

  const allowed = (response: Response) =>
    (response.headers.get('allow') ?? '').split(', ').toSorted().join(', ')

  test.for([
    ['DELETE', '/api/jobs', 'GET, HEAD, OPTIONS, POST'],
    ['POST', '/api/status', 'OPTIONS, PUT'],
    ['POST', '/api/jobs/x', 'DELETE, GET, HEAD, OPTIONS, PUT'],
    ['POST', '/health', 'GET, HEAD, OPTIONS'],
    ['PUT', '/admin/runners', 'GET, HEAD, OPTIONS, POST'],
    ['GET', '/admin/runners/x', 'DELETE, OPTIONS, PATCH'],
  ] as const)('behavior: 405 for %s %s', async ([method, path, allow]) => {
    const response = await edge.request(path, { method, headers })
    expect(allowed(response)).toBe(allow)
    expect(await refusalOf(response)).toEqual({
      status: 405,
      code: 'method_not_allowed',
      error: 'Method not allowed',
      params: {},
    })
  })

  test('behavior: OPTIONS tells what is allowed', async () => {
    const response = await edge.request('/info', { method: 'OPTIONS' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(allowed(response)).toBe('GET, HEAD, OPTIONS')
  })

  test('behavior: HEAD answers as GET does, without a body', async () => {
    const response = await edge.request('/health', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })
})
