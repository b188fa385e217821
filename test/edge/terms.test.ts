import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Job } from '../../src/protocol/job.ts'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { newAddress, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

/** What a client may ask of its own job: `timeout`, `expires_in`, `priority`, and its end. */

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const table of ['jobs', 'parts']) await edge.db.orm.run(`delete from ${table}`)
})

const jobOf = (terms: object = {}) => ({ containers: ['echo'], data: {}, ...terms })
const large = { x: 'x'.repeat(600_000) }
const read = async (id: string) => (await (await edge.request(`/api/jobs/${id}`)).json()) as Job
/** What is stored of a job's payloads. */
async function stored(id: string): Promise<{ data: string | null; data_parts: number; parts: number }> {
  const [row] = await edge.db.orm.all<{ data: string | null; data_parts: number; parts: number }>(`
    select data, data_parts, (select count(*) from parts where job = jobs.id) as parts from jobs where id = '${id}'`)
  return row!
}
const nothing = { data: null, data_parts: 0, parts: 0 }
const lives = ({ created_at, expires_at }: Job) => Date.parse(expires_at) - Date.parse(created_at)

describe('terms', () => {
  test.for([{}, large])('default: go with the job, however large its input', async data => {
    const id = await edge.createJob(jobOf({ data, timeout: 1.5, expires_in: 60, priority: 7 }))
    expect(lives(await read(id))).toBeLessThan(65_000)
    expect(await runner.claim()).toMatchObject([{ id, timeout_ms: 1_500 }])
  })

  test('behavior: without them, and with null, a job has what the node gives', async () => {
    const plain = await edge.createJob(jobOf())
    const nulls = await edge.createJob(jobOf({ timeout: null, expires_in: null, priority: null }))
    expect(await runner.claim()).toMatchObject([{ timeout_ms: null }, { timeout_ms: null }])
    for (const id of [plain, nulls]) expect(lives(await read(id))).toBe(24 * 3_600_000)
  })

  test('behavior: higher priorities go first, and among equals who came first', async () => {
    const ids = []
    for (const priority of [0, -10, 10, 0, 10]) ids.push(await edge.createJob(jobOf({ priority })))
    const taken: ClaimedJob[] = []
    for (const _ of ids) taken.push(...(await runner.claim({ max: 1, holding: taken })))
    expect(taken.map(({ id }) => id)).toEqual([ids[2], ids[4], ids[0], ids[3], ids[1]])
  })

  test('behavior: a job that nobody took in its time expires', async () => {
    const id = await edge.createJob(jobOf({ expires_in: 1 }))
    await edge.db.orm.run(`update jobs set expires_at = expires_at - 1000`)
    expect(await runner.claim()).toEqual([])
    await edge.runSchedule()
    expect(await read(id)).toMatchObject({ state: 'expired', status: 'failed', error: { code: 'expired' } })
  })

  test('behavior: the inputs of jobs that expire go with the waiting, of those that are left stay', async () => {
    const late = []
    for (const data of [{}, large, large]) late.push(await edge.createJob(jobOf({ data, expires_in: 1 })))
    const left = await edge.createJob(jobOf({ data: large }))
    await edge.db.orm.run(`update jobs set expires_at = expires_at - 1000 where id <> '${left}'`)
    await edge.runSchedule()
    for (const id of late) expect(await stored(id)).toEqual(nothing)
    expect(await stored(left)).toEqual({ data: null, data_parts: 3, parts: 3 })
  })

  test.for([
    ['priority', 11, 'must be a whole number from -10 to 10'],
    ['priority', -11, 'must be a whole number from -10 to 10'],
    ['priority', 0.5, 'must be a whole number from -10 to 10'],
    ['priority', '1', 'expected number'],
    ['timeout', 0, 'must be a number of seconds from 0.001 to 86400'],
    ['timeout', 86_401, 'must be a number of seconds from 0.001 to 86400'],
    ['timeout', true, 'expected number'],
    ['expires_in', 0, 'must be a number of seconds from 1 to 604800'],
    ['expires_in', 604_801, 'must be a number of seconds from 1 to 604800'],
    ['expires_in', {}, 'expected number'],
  ] as const)('behavior: 400 for %s %j', async ([name, value, problem]) => {
    expect(await refusalOf(await edge.create(jobOf({ [name]: value })))).toEqual({
      status: 400,
      code: 'invalid_request',
      error: expect.stringMatching(new RegExp(`^Invalid json: ${name}: ${problem}`, 'i')),
      params: {},
    })
  })
})

describe('cancelling', () => {
  const cancel = async (id: string, ip?: string) =>
    await edge.request(`/api/jobs/${id}`, { method: 'DELETE', ...(ip ? { ip } : {}) })
  const cancelled = { state: 'cancelled', status: 'failed', error: { code: 'cancelled' } }

  test('default: a job that waits ends at once and is never given out', async () => {
    const id = await edge.createJob(jobOf())
    const response = await cancel(id)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      id,
      ...cancelled,
      attempt: 0,
      result: { code: 'cancelled' },
    })
    expect(await runner.claim()).toEqual([])
    expect(await read(id)).toMatchObject(cancelled)
  })

  test('behavior: a job that runs ends at once, its runner is told, and its result does not count', async () => {
    const id = await edge.createJob(jobOf())
    const [job] = await runner.claim()
    const lease = { id, attempt: 1 }
    const control = { instance: runner.instance, holding: [lease], mode: 'run', wait_ms: 20_000 }
    const told = runner.post('/runner/control', control).then(async answer => await answer.json())
    await cancel(id)
    expect(await told).toMatchObject({ cancel: [lease] })
    expect(await runner.report([success(job!, '1')])).toMatchObject([{ answer: 'stale' }])
    const beat = { instance: runner.instance, leases: [{ ...lease, started: true }], containers: [] }
    expect(await (await runner.post('/runner/heartbeat', beat)).json()).toEqual({ lost: [lease] })
    expect(await read(id)).toMatchObject({ ...cancelled, attempt: 1 })
  })

  test.for([{}, large])('behavior: its input, and what there is of its result, go at once', async data => {
    const id = await edge.createJob(jobOf({ data }))
    await runner.claim()
    const part = { method: 'PUT', body: 'x' }
    expect((await runner.send(`/runner/jobs/${id}/result/0?attempt=1&kind=result`, part)).status).toBe(200)
    const before = await stored(id)
    expect(before).toMatchObject({ parts: before.data_parts + 1 })
    await cancel(id, newAddress())
    expect(await stored(id)).toEqual(before)
    await cancel(id)
    expect(await stored(id)).toEqual(nothing)
  })

  test('behavior: a second time it is the same answer', async () => {
    const id = await edge.createJob(jobOf())
    const first = await (await cancel(id)).json()
    expect(await (await cancel(id)).json()).toEqual(first)
  })

  test('behavior: a job that has ended otherwise stays as it is', async () => {
    const id = await edge.createJob(jobOf())
    await runner.report((await runner.claim()).map(job => success(job, '1')))
    const refusal = { status: 409, code: 'already_ended', params: { state: 'success' } }
    expect(await refusalOf(await cancel(id))).toMatchObject(refusal)
    expect((await read(id)).state).toBe('success')
  })

  test("behavior: another's job, and one that is not, are not found", async () => {
    const id = await edge.createJob(jobOf(), { ip: newAddress() })
    for (const other of [id, '01900000-0000-7000-8000-000000000000', 'x', '%00', 'x'.repeat(129)]) {
      expect(await refusalOf(await cancel(other))).toMatchObject({ status: 404, code: 'not_found' })
    }
    expect((await runner.claim()).map(job => job.id)).toEqual([id])
  })

  test('behavior: a status written by hand is not a job to cancel', async () => {
    const token = await runner.token()
    for (const status of ['running', 'success']) {
      await edge.request('/api/status', {
        method: 'PUT',
        body: JSON.stringify({ id: 'by-hand', status, containers: ['echo'] }),
        headers: { authorization: `Bearer ${token}` },
      })
      expect(await refusalOf(await cancel('by-hand'))).toEqual({
        status: 409,
        code: 'conflict',
        error: "This job is not the queue's",
        params: { id: 'by-hand' },
      })
    }
  })

  test('behavior: of a cancellation and a report at once, one counts', async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await edge.createJob(jobOf())
      const [job] = await runner.claim()
      const [response, [answer]] = await Promise.all([cancel(id), runner.report([success(job!, '1')])])
      const { state } = await read(id)
      const outcome = { status: response.status, answer: answer?.answer, state }
      expect([
        { status: 200, answer: 'stale', state: 'cancelled' },
        { status: 409, answer: 'accepted', state: 'success' },
      ]).toContainEqual(outcome)
    }
  })
})
