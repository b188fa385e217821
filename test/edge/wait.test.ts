import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import type { Job, JobResult } from '../../src/protocol/job.ts'
import { refusalOf, startDatabase, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { type SqlProxy, startSqlProxy } from '../support/sql-proxy.ts'

/** What a client that waits may take to hear of an end, on a loaded machine; without the bell it is its whole wait. */
const soonMs = 1_000

let database: LibsqlServer
let proxy: SqlProxy
let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  database = await startDatabase()
  proxy = await startSqlProxy(database.url)
  edge = await startTestEdge({ databaseUrl: proxy.url })
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
  await proxy.close()
  await database.close()
})
beforeEach(async () => await edge.db.orm.run('delete from jobs'))

const body = { containers: ['echo'], data: {} }

/** Sends a request, and resolves when its client waits: it has marked the job as watched and found it pending. */
async function waiting<Answer>(send: () => Promise<Answer>): Promise<{ answer: Promise<Answer> }> {
  proxy.takeStatements()
  const answer = send()
  await expect
    .poll(
      () =>
        proxy
          .takeStatements()
          .some(({ sql }) => /set watched = 1|^select id from jobs where id in/.test(sql)),
      {
        interval: 5,
        timeout: 5_000,
      },
    )
    .toBe(true)
  return { answer }
}

async function took<Result>(work: Promise<Result>): Promise<{ result: Result; ms: number }> {
  const startedAt = performance.now()
  const result = await work
  return { result, ms: performance.now() - startedAt }
}

const read = async (path: string, init?: RequestInit) =>
  (await (await edge.request(path, init)).json()) as Job
const finishAll = async () => await runner.report((await runner.claim()).map(job => success(job, '"done"')))

describe('reading', () => {
  test('default: is answered within a fraction of a second of the end', async () => {
    const times: number[] = []
    for (let i = 0; i < 5; i += 1) {
      const id = await edge.createJob(body)
      const jobs = await runner.claim()
      const { answer } = await waiting(() => read(`/api/jobs/${id}?wait=20`))
      await runner.report(jobs.map(job => success(job, '"done"')))
      const { result, ms } = await took(answer)
      expect(result).toMatchObject({ id, state: 'success', result: { output: 'done' } })
      times.push(ms)
    }
    expect(Math.min(...times)).toBeLessThan(100)
    expect(Math.max(...times)).toBeLessThan(soonMs)
  })

  test('behavior: is answered at once when the job has ended, without a word to the bell', async () => {
    const id = await edge.createJob(body)
    await finishAll()
    proxy.takeStatements()
    const { result, ms } = await took(read(`/api/jobs/${id}?wait=25`))
    expect(result.state).toBe('success')
    expect(ms).toBeLessThan(soonMs)
    expect(proxy.takeStatements().filter(({ sql }) => sql.includes('watched'))).toEqual([])
  })

  test('behavior: tells the state of the moment when its time is over', async () => {
    const id = await edge.createJob(body)
    const { result, ms } = await took(read(`/api/jobs/${id}?wait=0.3`))
    expect(result).toMatchObject({ id, state: 'queued', result: null })
    expect(ms).toBeGreaterThan(299)
    expect(ms).toBeLessThan(300 + soonMs)
  })

  test('behavior: several clients hear of one end', async () => {
    const id = await edge.createJob(body)
    const clients = []
    for (let i = 0; i < 5; i += 1) clients.push((await waiting(() => read(`/api/jobs/${id}?wait=20`))).answer)
    await finishAll()
    const { result, ms } = await took(Promise.all(clients))
    expect(result.map(({ state }) => state)).toEqual(clients.map(() => 'success'))
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: of several jobs, waits for all of them', async () => {
    const ids = [await edge.createJob(body), await edge.createJob(body), await edge.createJob(body)]
    const query = ids.map(id => `id=${id}`).join('&')
    const send = async () => (await (await edge.request(`/api/jobs?${query}&wait=20`)).json()) as JobResult[]
    const { answer } = await waiting(send)
    const jobs = (await runner.claim()).toReversed()
    const ended = answer.then(() => true)
    for (const job of jobs.slice(0, -1)) {
      await runner.report([success(job, '1')])
      expect(await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 50))])).toBeUndefined()
    }
    await runner.report([success(jobs.at(-1)!, '1')])
    const { result, ms } = await took(answer)
    expect(result.map(({ status }) => status)).toEqual(['success', 'success', 'success'])
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: an unknown job is not waited for', async () => {
    const { result, ms } = await took(edge.request('/api/jobs/01900000-0000-7000-8000-000000000000?wait=20'))
    expect(result.status).toBe(404)
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: costs two statements before the end and one after it, however long it takes', async () => {
    const id = await edge.createJob(body)
    const jobs = await runner.claim()
    proxy.takeStatements()
    const answer = read(`/api/jobs/${id}?wait=20`)
    const seen: string[] = []
    const look = () => seen.push(...proxy.takeStatements().map(({ sql }) => sql))
    await expect.poll(() => look() && seen.some(sql => sql.includes('set watched = 1'))).toBe(true)
    await new Promise(resolve => setTimeout(resolve, 500))
    look()
    await runner.report(jobs.map(job => success(job, '1')))
    await answer
    look()
    const count = (part: string) => seen.filter(sql => sql.includes(part)).length
    expect({ watched: count('set watched = 1'), read: count('select id, state, route') }).toEqual({
      watched: 1,
      read: 2,
    })
  })
})

describe('creating', () => {
  test('default: with `wait` the answer is the job as it ended', async () => {
    const { answer } = await waiting(() => edge.create(body, { path: '/api/jobs?wait=20' }))
    await finishAll()
    const { result, ms } = await took(answer)
    expect(await result.json()).toMatchObject({ state: 'success', result: { output: 'done' } })
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: it is the job as it is when the time is over', async () => {
    const response = await edge.create(body, { path: '/api/jobs?wait=0.05' })
    expect(response.status).toBe(200)
    const job = (await response.json()) as Job
    expect(job).toMatchObject({ state: 'queued', result: null })
    expect((await read(`/api/jobs/${job.id}`)).state).toBe('queued')
  })

  test('behavior: `Prefer: wait` is the same, as a wish: what cannot be is cut, and what was done is said', async () => {
    const prefer = async (value: string) =>
      await edge.request('/api/jobs', {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { prefer: value },
      })
    const { answer } = await waiting(() => prefer('respond-async, wait=3600'))
    await finishAll()
    const response = await answer
    expect(response.headers.get('preference-applied')).toBe('wait=25')
    expect(await response.json()).toMatchObject({ state: 'success' })
    for (const nothing of ['wait=x', 'respond-async', 'wait', 'await=3']) {
      const plain = await prefer(nothing)
      expect(plain.headers.get('preference-applied')).toBeNull()
      expect(Object.keys((await plain.json()) as object)).toEqual(['id'])
    }
  })

  test('behavior: a wish is not said to be granted by a refusal', async () => {
    const prefer = { headers: { prefer: 'wait=1' } }
    const refusals = [
      await edge.request('/api/jobs', {
        method: 'POST',
        body: '{"containers":["nobody"],"data":{}}',
        ...prefer,
      }),
      await edge.request('/api/jobs/01900000-0000-7000-8000-000000000000', prefer),
      await edge.request(`/api/jobs?${'id=x&'.repeat(101)}`, prefer),
    ]
    expect(refusals.map(({ status }) => status)).toEqual([422, 404, 413])
    for (const { headers } of refusals) expect(headers.get('preference-applied')).toBeNull()
    const list = await edge.request('/api/jobs?id=x', prefer)
    expect(list.headers.get('preference-applied')).toBe('wait=1')
  })

  test('behavior: a job that waits for a runner says so also after a wait', async () => {
    await edge.db.orm.run('update instances set last_seen_at = 0')
    await expect
      .poll(
        async () => (await edge.create(body, { path: '/api/jobs?wait=0.01' })).headers.get('infernet-runner'),
        {
          timeout: 10_000,
        },
      )
      .toBe('offline')
    await edge.db.orm.run(`update instances set last_seen_at = unixepoch('subsec') * 1000`)
  })

  test.for(['26', '-1', 'x', '', '1e1', 'NaN'])(
    'behavior: 400 for wait=%s, and nothing is stored',
    async wait => {
      const refusal = {
        status: 400,
        code: 'invalid_request',
        error: 'Invalid query: wait: must be a number of seconds from 0 to 25',
        params: { limit: 25 },
      }
      expect(await refusalOf(await edge.create(body, { path: `/api/jobs?wait=${wait}` }))).toEqual(refusal)
      expect(await refusalOf(await edge.request(`/api/jobs/x?wait=${wait}`))).toEqual(refusal)
      expect(await edge.db.orm.all('select id from jobs')).toEqual([])
    },
  )

  test('behavior: a batch is not waited for', async () => {
    const response = await edge.create([body], { path: '/api/jobs/batch?wait=1' })
    expect(await refusalOf(response)).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(await edge.db.orm.all('select id from jobs')).toEqual([])
  })
})

describe('whatever ends a job rings', () => {
  const endings: [string, string, (id: string) => Promise<unknown>][] = [
    ['a report', 'success', async () => await finishAll()],
    [
      'its cancellation',
      'cancelled',
      async id => await edge.request(`/api/jobs/${id}`, { method: 'DELETE' }),
    ],
    [
      'its expiry, at the sweep',
      'expired',
      async id => {
        await edge.db.orm.run(`update jobs set expires_at = 0 where id = '${id}'`)
        await edge.runSchedule()
      },
    ],
    [
      'its last lapsed lease, at the sweep',
      'failed',
      async id => {
        await runner.claim()
        await edge.db.orm.run(`update jobs set lease_expires_at = 0, tries = 3 where id = '${id}'`)
        await edge.runSchedule()
      },
    ],
    [
      'its last lapsed lease, at the next claim',
      'failed',
      async id => {
        await runner.claim()
        await edge.db.orm.run(`update jobs set lease_expires_at = 0, tries = 3 where id = '${id}'`)
        await runner.claim()
      },
    ],
  ]

  test.for(endings)('behavior: %s', async ([, state, end]) => {
    const id = await edge.createJob(body)
    const { answer } = await waiting(() => read(`/api/jobs/${id}?wait=20`))
    await end(id)
    const { result, ms } = await took(answer)
    expect(result.state).toBe(state)
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: a report that is sent again, since nobody was told that it is stored', async () => {
    const id = await edge.createJob(body)
    const jobs = await runner.claim()
    const { answer } = await waiting(() => read(`/api/jobs/${id}?wait=20`))
    const stored = proxy.holdAnswer(/set state = item.state/)
    const lost = runner.report(jobs.map(job => success(job, '1'))).catch(() => 'lost')
    await stored.reached
    proxy.down()
    stored.release()
    expect(await lost).toBe('lost')
    proxy.up()
    expect(await runner.report(jobs.map(job => success(job, '1')))).toMatchObject([{ answer: 'duplicate' }])
    const { result, ms } = await took(answer)
    expect(result.state).toBe('success')
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: a job that nobody waits for does not', async () => {
    const id = await edge.createJob(body)
    await finishAll()
    expect(await edge.db.orm.all(`select watched from jobs where id = '${id}'`)).toEqual([{ watched: 0 }])
  })
})

test('behavior: a client that leaves ends its wait, and its job goes on', async () => {
  const sent = httpRequest(new URL('/api/jobs?wait=20', edge.url), { method: 'POST', agent: false })
  const closed = new Promise<void>(resolve => sent.on('close', resolve))
  sent.on('error', () => undefined)
  await waiting(async () => sent.end(JSON.stringify(body)))
  sent.socket?.resetAndDestroy()
  await closed
  const [answer] = await finishAll()
  expect(answer).toMatchObject({ answer: 'accepted' })
  expect((await read(`/api/jobs/${answer!.id}`)).state).toBe('success')
})
