import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { isUnavailable } from '../../src/edge/db/errors.ts'
import { migrate } from '../../src/edge/db/migrate.ts'
import { openDb } from '../../src/edge/db/open.ts'
import { type LibsqlServer, startLibsqlServer } from '../../src/local/libsql/server.ts'
import { refusalOf, startDatabase, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { type SqlProxy, startSqlProxy } from '../support/sql-proxy.ts'

const schemaOutdated = {
  status: 503,
  code: 'schema_outdated',
  error: 'The database is not migrated to the schema of this version',
  params: {},
}

async function readiness(edge: TestEdge): Promise<unknown> {
  const response = await edge.request('/ready')
  return { status: response.status, ...((await response.json()) as object) }
}

/** As OpenAI's clients read it. */
async function refusedChat(response: Response, expected: object): Promise<void> {
  expect(response.status).toBe(503)
  const { error } = (await response.json()) as { error: unknown }
  expect({ retryAfter: response.headers.get('retry-after'), error }).toEqual(expected)
}

describe('the database goes down', () => {
  let database: LibsqlServer
  let proxy: SqlProxy
  let edge: TestEdge
  let runner: TestRunner

  beforeAll(async () => {
    database = await startDatabase()
    proxy = await startSqlProxy(database.url)
    edge = await startTestEdge({ databaseUrl: proxy.url })
    runner = await startTestRunner(edge, [policyOf('echo'), policyOf('chat', { openai: true })])
  })
  afterEach(() => proxy.up())
  afterAll(async () => {
    await edge[Symbol.asyncDispose]()
    await proxy.close()
    await database.close()
  })

  const unavailable = {
    status: 503,
    code: 'database_unavailable',
    error: 'The database does not answer',
    params: {},
  }
  const job = { containers: ['echo'], data: {} }

  async function refused(response: Response): Promise<void> {
    expect(response.headers.get('retry-after')).toBe('2')
    expect(await refusalOf(response)).toEqual(unavailable)
  }

  test('default: requests are refused as long as it is down, and served again afterwards', async () => {
    const id = await edge.createJob(job)
    proxy.down()
    const report = success({ id, attempt: 1, containers: ['echo'] } as never, '1')
    const large = { ...job, data: { x: 'x'.repeat(600_000) } }
    const responses = await Promise.all([
      edge.create(job),
      edge.create(large),
      edge.create([job, large], { path: '/api/jobs/batch' }),
      edge.request('/api/jobs'),
      edge.request(`/api/jobs?id=${id}`),
      edge.request(`/api/jobs?id=${id}&id=x`),
      edge.request(`/api/jobs/${id}`),
      edge.request('/info'),
      runner.postClaim(),
      runner.post('/runner/heartbeat', { instance: runner.instance, leases: [], containers: [] }),
      runner.post('/runner/control', { instance: runner.instance, holding: [], mode: 'run', wait_ms: 0 }),
      runner.post('/runner/report', { instance: runner.instance, results: [report] }),
      runner.send(`/runner/jobs/${id}/input?attempt=1`),
      runner.send(`/runner/jobs/${id}/result/0?attempt=1&kind=result`, { method: 'PUT', body: 'x' }),
    ])
    for (const response of responses) await refused(response)
    const chat = JSON.stringify({ model: 'chat', messages: [] })
    const { error, code } = unavailable
    await refusedChat(await edge.request('/v1/chat/completions', { method: 'POST', body: chat }), {
      retryAfter: '2',
      error: { message: error, type: 'server_error', param: null, code },
    })
    expect((await edge.request('/health')).status).toBe(200)
    proxy.up()
    expect(await runner.claim()).toMatchObject([{ id }])
    expect((await edge.create(large)).status).toBe(200)
  })

  test('behavior: a job whose client was told nothing is there all the same, and the claim that waits goes on', async () => {
    await edge.db.orm.run('delete from jobs')
    proxy.takeStatements()
    const waiting = runner.postClaim({ wait_ms: 20_000 })
    // It looks, and asks whether anything has come since, before it waits.
    let looks = 0
    const isLook = ({ sql }: { sql: string }) => /claim_seq|select 1 from queued_routes/.test(sql)
    await expect.poll(() => (looks += proxy.takeStatements().filter(isLook).length)).toBe(2)
    const hold = proxy.holdAnswer(/insert into jobs/)
    const created = edge.create(job)
    await hold.reached
    proxy.down()
    hold.release()
    await refused(await created)
    proxy.up()
    // The client was told nothing, the job is there: it may be computed, and is found in the client's list.
    const id = await edge.createJob(job)
    const { jobs } = (await (await waiting).json()) as { jobs: { id: string }[] }
    expect(jobs.map(claimed => claimed.id)).toContain(id)
    expect(await (await edge.request('/api/jobs')).json()).toHaveLength(2)
  })

  test('behavior: whoever waits at OpenAI’s door for an answer in one piece hears nothing of it', async () => {
    await edge.db.orm.run('delete from jobs')
    const first = proxy.holdAnswer(/select id from jobs/)
    const last = proxy.holdAnswer(/result, intermediate from jobs/)
    const body = JSON.stringify({ model: 'chat', messages: [] })
    const asked = edge.request('/v1/chat/completions', { method: 'POST', body })
    const lose = async (look: typeof first) => {
      await Promise.race([look.reached, asked])
      proxy.down()
      proxy.up()
      look.release()
    }
    await lose(first)
    await runner.report((await runner.claim({ wait_ms: 5_000 })).map(job => success(job, '{"choices":[]}')))
    await lose(last)
    const answer = await asked
    expect([answer.status, await answer.text()]).toEqual([200, '{"choices":[]}'])
    expect(await (await edge.request('/api/jobs')).json()).toHaveLength(1)
  })

  test('behavior: /ready says what fails, and recovers', async () => {
    await expect.poll(() => readiness(edge)).toMatchObject({ status: 200 })
    proxy.down()
    const unknown = { ok: false, reason: 'Not known without the database.' }
    const database = { ok: false, reason: 'The database does not answer.' }
    await expect
      .poll(() => readiness(edge), { timeout: 3_000 })
      .toEqual({ status: 503, ready: false, checks: { database, schema: unknown, runners: unknown } })
    proxy.up()
    await expect
      .poll(() => readiness(edge))
      .toEqual({
        status: 200,
        ready: true,
        checks: { database: { ok: true }, schema: { ok: true }, runners: { ok: true } },
      })
  })
})

describe('the schema is not that of this version', () => {
  let database: LibsqlServer
  let edge: TestEdge

  beforeEach(async () => {
    database = await startLibsqlServer({ path: ':memory:' })
    edge = await startTestEdge({ databaseUrl: database.url })
  })
  afterEach(async () => {
    await edge[Symbol.asyncDispose]()
    await database.close()
  })

  async function expectRefused(): Promise<void> {
    const create = { containers: ['echo'], data: {} }
    const responses = await Promise.all([
      edge.create(create),
      edge.request('/api/jobs'),
      edge.request('/info'),
      edge.request('/resources'),
    ])
    for (const response of responses) {
      expect(response.headers.get('retry-after')).toBe('30')
      expect(await refusalOf(response)).toEqual(schemaOutdated)
    }
    const { error, code } = schemaOutdated
    await refusedChat(await edge.request('/v1/models'), {
      retryAfter: '30',
      error: { message: error, type: 'server_error', param: null, code },
    })
    expect((await edge.request('/health')).status).toBe(200)
    expect((await edge.request('/openapi.json')).status).toBe(200)
  }

  async function expectNoRunner(): Promise<void> {
    const response = await edge.create({ containers: ['echo'], data: {} })
    expect(response.headers.get('retry-after')).toBe('30')
    expect(await refusalOf(response)).toEqual({
      status: 503,
      code: 'no_runner',
      error: 'No runner is enrolled with this node',
      params: {},
    })
    expect(await (await edge.create({ containers: [], data: {} })).json()).toMatchObject({
      code: 'no_containers',
    })
    const runners = { ok: false, reason: 'No runner was heard of in the last minute.' }
    expect(await readiness(edge)).toEqual({
      status: 503,
      ready: false,
      checks: { database: { ok: true }, schema: { ok: true }, runners },
    })
  }

  test('behavior: never migrated: refused with the reason; migrated: it lacks only a runner', async () => {
    await expectRefused()
    expect(await readiness(edge)).toEqual({
      status: 503,
      ready: false,
      checks: {
        database: { ok: true },
        schema: { ok: false, reason: 'The database was never migrated: run db:migrate.' },
        runners: { ok: false, reason: 'Not known without the database.' },
      },
    })
    // A newer schema is served too: deploys migrate first.
    await migrate({ url: database.url })
    await edge.db.orm.run(`insert into __drizzle_migrations (hash, created_at) values ('newer', 9e15)`)
    expect((await edge.request('/api/jobs')).status).toBe(200)
    await expectNoRunner()
    await startTestRunner(edge, [policyOf('echo')])
    expect((await edge.create({ containers: ['echo'], data: {} })).status).toBe(200)
  })

  test('behavior: older by a column that the code reads: that is no database without migrations', async () => {
    await migrate({ url: database.url })
    await edge.db.orm.run('alter table instances rename column gpu_labels to to_come')
    expect(await readiness(edge)).toMatchObject({
      status: 503,
      checks: { schema: { ok: false, reason: 'The database is older than this code: run db:migrate.' } },
    })
    await expectRefused()
  })

  test('behavior: older than the code: refused with the reason', async () => {
    await migrate({ url: database.url })
    await edge.db.orm.run('update __drizzle_migrations set created_at = created_at - 1000000')
    await expectRefused()
    const checks = { schema: { ok: false, reason: 'The database is older than this code: run db:migrate.' } }
    expect(await readiness(edge)).toMatchObject({ status: 503, checks })
  })
})

test('behavior: a database that takes the request and never answers is told apart', async () => {
  const silent = createServer(() => {})
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as { port: number }
  const db = openDb({ url: `http://127.0.0.1:${port}`, timeoutMs: 50 })
  const error: unknown = await db.orm.run('select 1').catch((caught: unknown) => caught)
  expect(isUnavailable(error)).toBe(true)
  silent.close()
})

test('behavior: what the database refuses is not taken for its absence', async () => {
  const database = await startDatabase()
  const db = openDb({ url: database.url })
  for (const statement of [
    'select',
    'select x from nothing',
    `insert into policy (id, epoch) values (1, 1)`,
  ]) {
    const error: unknown = await db.orm.run(statement).catch((caught: unknown) => caught)
    expect(error, statement).toBeInstanceOf(Error)
    expect(isUnavailable(error), statement).toBe(false)
  }
  await database.close()
})
