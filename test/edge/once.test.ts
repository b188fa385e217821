import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { newAddress, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

/** Requests that make their jobs once: under an `Idempotency-Key`, and by `PUT`. */

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const table of ['jobs', 'parts', 'idempotency']) await edge.db.orm.run(`delete from ${table}`)
})

const jobOf = (data: object = {}) => JSON.stringify({ containers: ['echo'], data })
/** Above what is kept on the job's row. */
const large = jobOf({ x: 'x'.repeat(3 * limits.partBytes) })

type Send = { key?: string; ip?: string; path?: string; body?: string }

async function post({ key = 'k', ip = '198.51.100.1', path = '/api/jobs', body = jobOf() }: Send = {}) {
  return await edge.request(path, { method: 'POST', ip, body, headers: { 'idempotency-key': key } })
}

async function put(id: string, { ip = '198.51.100.1', body = jobOf(), path = '' }: Send = {}) {
  return await edge.request(`/api/jobs/${id}${path}`, { method: 'PUT', ip, body })
}

async function idOf(response: Response): Promise<string> {
  expect(response.status).toBe(200)
  return ((await response.json()) as { id: string }).id
}

async function count(table: string): Promise<number> {
  const [row] = await edge.db.orm.all<{ n: number }>(`select count(*) as n from ${table}`)
  return row?.n ?? Number.NaN
}

const conflict = { status: 409, code: 'idempotency_conflict' }

describe('Idempotency-Key', () => {
  test.for([jobOf(), large])('default: the same request again is the same job', async body => {
    const first = await post({ body })
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    const again = await post({ body })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await idOf(again)).toBe(await idOf(first))
    expect(await count('jobs')).toBe(1)
    expect(await count('parts')).toBe(body === large ? 4 : 0)
  })

  test.for([jobOf(), large])('behavior: many at once make one job', { timeout: 60_000 }, async body => {
    const responses = await Promise.all(Array.from({ length: 20 }, () => post({ body })))
    const ids = await Promise.all(responses.map(idOf))
    expect(new Set(ids).size).toBe(1)
    expect(await count('jobs')).toBe(1)
    expect(await count('idempotency')).toBe(1)
    expect(await count('parts')).toBe(body === large ? 4 : 0)
  })

  test('behavior: another request under the same key is refused and makes nothing', async () => {
    const id = await idOf(await post())
    for (const body of [jobOf({ other: 1 }), large, `${jobOf()} `]) {
      expect(await refusalOf(await post({ body }))).toMatchObject(conflict)
    }
    expect(await edge.db.orm.all('select id from jobs')).toEqual([{ id }])
    expect(await count('parts')).toBe(0)
  })

  test('behavior: of two different requests at once, one makes its job and the other is refused', async () => {
    for (let round = 0; round < 5; round += 1) {
      const bodies = [jobOf({ n: 1 }), jobOf({ n: 2 })]
      const responses = await Promise.all(bodies.map(body => post({ key: `round-${round}`, body })))
      expect(responses.map(({ status }) => status).toSorted()).toEqual([200, 409])
    }
    expect(await count('jobs')).toBe(5)
  })

  test('behavior: the same for a job and a batch, while others are storing theirs', async () => {
    const batch = `[${jobOf()},${jobOf()},${jobOf()}]`
    for (let round = 0; round < 5; round += 1) {
      const key = `round-${round}`
      const others = [edge.createJob(jobOf()), edge.createJob(jobOf())]
      const single = post({ key })
      const response = await post({ key, path: '/api/jobs/batch', body: batch })
      const codes = ((await response.json()) as { code?: string }[]).map(({ code = 'made' }) => code)
      const refused = (await single).status === 409
      expect(codes).toEqual(Array.from({ length: 3 }, () => (refused ? 'made' : 'idempotency_conflict')))
      expect((await post({ key })).status).toBe(refused ? 409 : 200)
      await Promise.all(others)
    }
  })

  test('behavior: the answer stays when the job has ended, and when the node would refuse it today', async () => {
    const id = await idOf(await post())
    await runner.report((await runner.claim()).map(job => success(job, '1')))
    expect(await idOf(await post())).toBe(id)
    await edge.db.orm.run(`update runners set revoked_at = 1`)
    const refused = await refusalOf(await post({ key: 'other' }))
    expect(refused).toMatchObject({ code: 'no_runner' })
    expect(await idOf(await post())).toBe(id)
    await edge.db.orm.run(`update runners set revoked_at = null`)
  })

  test('behavior: the job is the same when it was pruned meanwhile', async () => {
    const id = await idOf(await post())
    await edge.db.orm.run('delete from jobs')
    expect(await idOf(await post())).toBe(id)
    expect(await refusalOf(await post({ path: '/api/jobs?wait=1' }))).toMatchObject({ code: 'not_found' })
    expect(await count('jobs')).toBe(0)
  })

  test('behavior: a request that was refused does not use its key up', async () => {
    await edge.db.orm.run(`update runners set revoked_at = 1`)
    expect((await post({ body: jobOf({ n: 1 }) })).status).toBe(503)
    expect((await post({ body: large })).status).toBe(503)
    await edge.db.orm.run(`update runners set revoked_at = null`)
    expect(await count('idempotency')).toBe(0)
    expect((await post({ body: '{' })).status).toBe(400)
    expect((await post({ body: jobOf({ n: 2 }) })).status).toBe(200)
  })

  test('behavior: keys of different owners have nothing to do with each other', async () => {
    const ids = [await idOf(await post()), await idOf(await post({ ip: newAddress() }))]
    expect(new Set(ids).size).toBe(2)
  })

  test('behavior: after a day the sweep forgets a key, and the request makes a new job', async () => {
    const id = await idOf(await post())
    await edge.runSchedule()
    expect(await idOf(await post())).toBe(id)
    await edge.db.orm.run(`update idempotency set created_at = created_at - ${limits.idempotencyMs}`)
    await edge.runSchedule()
    expect(await count('idempotency')).toBe(0)
    expect(await idOf(await post())).not.toBe(id)
  })

  test('behavior: with a wait, the answer is the one job', async () => {
    const [first, second] = await Promise.all([
      post({ path: '/api/jobs?wait=0.2' }),
      post({ path: '/api/jobs?wait=0.2' }),
    ])
    expect(await idOf(first)).toBe(await idOf(second))
    expect(await count('jobs')).toBe(1)
  })

  test.for(['', 'a b', 'x'.repeat(256), 'é'])(
    'behavior: 400 for the key %j, and nothing is stored',
    async key => {
      const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') }
      const response = await edge.request('/api/jobs', { method: 'POST', body: jobOf(), headers })
      expect(await refusalOf(response)).toMatchObject({ status: 400, code: 'invalid_request' })
      expect(await count('jobs')).toBe(0)
    },
  )
})

describe('a batch under a key', () => {
  const batch = (...bodies: string[]) => ({ path: '/api/jobs/batch', body: `[${bodies.join(',')}]` })
  const answers = async (response: Response) => (await response.json()) as { id?: string; code?: string }[]

  test('default: the same jobs, in the same order', async () => {
    const request = batch(jobOf(), jobOf(), large, jobOf({ n: 1 }))
    const first = await answers(await post(request))
    expect(new Set(first.map(({ id }) => id)).size).toBe(4)
    expect(await answers(await post(request))).toEqual(first)
    expect(await count('jobs')).toBe(4)
  })

  test('behavior: items that were refused are judged anew, those that were made are not made again', async () => {
    const request = batch(jobOf(), '{"containers":["later"],"data":{}}')
    const [made, refused] = await answers(await post(request))
    expect(refused).toMatchObject({ code: 'unsupported_container' })
    await startTestRunner(edge, [policyOf('later')])
    const [again, late] = await answers(await post(request))
    expect(again).toEqual(made)
    expect(late).toEqual({ id: expect.any(String) })
    expect(await answers(await post(request))).toEqual([again, late])
    expect(await count('jobs')).toBe(2)
  })

  test('behavior: another batch, or the same body as a single job, is refused whole', async () => {
    await post(batch(jobOf(), jobOf()))
    expect(await answers(await post(batch(jobOf(), jobOf({ n: 1 }))))).toMatchObject([
      { code: 'idempotency_conflict' },
      { code: 'idempotency_conflict' },
    ])
    expect(await refusalOf(await post())).toMatchObject(conflict)
    expect(await count('jobs')).toBe(2)
  })
})

describe('PUT', () => {
  test.for([jobOf(), large])('default: makes the job under this id, once', async body => {
    const id = randomUUID()
    expect(await idOf(await put(id, { body }))).toBe(id)
    const again = await put(id, { body })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await idOf(again)).toBe(id)
    expect(await count('jobs')).toBe(1)
    const [job] = await runner.claim()
    expect(job).toMatchObject({ id, data_bytes: body.length - '{"containers":["echo"],"data":}'.length })
    const input = await runner.send(`/runner/jobs/${id}/input?attempt=1`)
    expect(`{"containers":["echo"],"data":${await input.text()}}`).toBe(body)
    await runner.report([success(job!, '1')])
    expect(await idOf(await put(id, { body }))).toBe(id)
    expect(await count('jobs')).toBe(1)
  })

  test.for([jobOf(), large])('behavior: many at once make one job', { timeout: 60_000 }, async body => {
    const id = randomUUID()
    const responses = await Promise.all(Array.from({ length: 12 }, () => put(id, { body })))
    expect(new Set(await Promise.all(responses.map(idOf)))).toEqual(new Set([id]))
    expect(await count('jobs')).toBe(1)
    expect(await count('parts')).toBe(body === large ? 4 : 0)
  })

  test('behavior: of different bodies at once one wins whole', async () => {
    const id = randomUUID()
    const bodies = [jobOf({ n: 1 }), jobOf({ n: 2 }), large, jobOf({ x: 'y'.repeat(3 * limits.partBytes) })]
    const responses = await Promise.all(bodies.map(body => put(id, { body })))
    expect(responses.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409])
    const winner = bodies[responses.findIndex(({ status }) => status === 200)]!
    await runner.claim()
    const input = await runner.send(`/runner/jobs/${id}/input?attempt=1`)
    expect(`{"containers":["echo"],"data":${await input.text()}}`).toBe(winner)
    const [row] = await edge.db.orm.all<{ n: number }>(`select count(*) as n from parts where job <> '${id}'`)
    expect(row?.n).toBe(0)
  })

  test('behavior: the same while others are storing theirs', async () => {
    for (let round = 0; round < 5; round += 1) {
      const id = randomUUID()
      const others = [edge.createJob(jobOf()), edge.createJob(jobOf())]
      const clients = [{ body: jobOf({ n: 1 }) }, { body: jobOf({ n: 2 }) }, { ip: newAddress() }]
      const responses = await Promise.all(clients.map(client => put(id, client)))
      expect(responses.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
      await Promise.all(others)
    }
  })

  test('behavior: the same request twice while others are storing theirs: one is told that it is replayed', async () => {
    for (let round = 0; round < 5; round += 1) {
      const id = randomUUID()
      const others = [edge.createJob(jobOf()), edge.createJob(jobOf())]
      const responses = await Promise.all([put(id), put(id)])
      const replayed = responses.map(({ headers }) => headers.get('idempotent-replayed'))
      expect(replayed.toSorted()).toEqual(['true', null].toSorted())
      await Promise.all(others)
    }
  })

  test("behavior: an id that is taken, by one's own other job or by another's, is refused", async () => {
    const mine = await edge.createJob(jobOf(), { ip: '198.51.100.1' })
    expect(await refusalOf(await put(mine))).toMatchObject({ ...conflict, params: { id: mine } })
    const id = randomUUID()
    await put(id)
    expect(await refusalOf(await put(id, { ip: newAddress() }))).toMatchObject(conflict)
    expect(await refusalOf(await put(id, { body: jobOf({ n: 1 }) }))).toMatchObject(conflict)
    expect(await count('jobs')).toBe(2)
  })

  test('behavior: a chosen id does not jump the queue', async () => {
    const first = await edge.createJob(jobOf())
    await put('00000000-0000-4000-8000-000000000000')
    const [job] = await runner.claim({ max: 1 })
    expect(job?.id).toBe(first)
  })

  test('behavior: waits as POST does', async () => {
    const response = await put(randomUUID(), { path: '?wait=0.05' })
    expect(await response.json()).toMatchObject({ state: 'queued' })
  })

  test.for(['x', '1', '01900000-0000-7000-8000-00000000000G', '01900000-0000-7000-8000-00000000000A'])(
    'behavior: 400 for the id %s',
    async id => {
      expect(await refusalOf(await put(id))).toMatchObject({ status: 400, code: 'invalid_request' })
      expect(await count('jobs')).toBe(0)
    },
  )
})
