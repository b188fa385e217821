import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import type { ClaimAnswer, ClaimedJob, ClaimRequest } from '../../src/protocol/runner.ts'
import { adminToken, startDatabase, startTestEdge, type TestEdge } from '../support/edge.ts'
import { host } from '../support/hosts.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { type SqlProxy, startSqlProxy } from '../support/sql-proxy.ts'

/** What a claim that waits may take to hear of a job, on a loaded machine; without the bell it is `waitMs`. */
const soonMs = 1_000
const waitMs = 20_000

let database: LibsqlServer
let proxy: SqlProxy
let edge: TestEdge
let a: TestRunner
let alsoA: TestRunner
let b: TestRunner
let bigA: TestRunner

beforeAll(async () => {
  database = await startDatabase()
  proxy = await startSqlProxy(database.url)
  edge = await startTestEdge({ databaseUrl: proxy.url })
  a = await startTestRunner(edge, [policyOf('a')])
  alsoA = await startTestRunner(edge, [policyOf('a')])
  b = await startTestRunner(edge, [policyOf('b')])
  bigA = await startTestRunner(edge, [policyOf('a')], fetch, { gpu: ['NVIDIA H100 80GB HBM3'] })
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
  await proxy.close()
  await database.close()
})
beforeEach(async () => await edge.db.orm.run('delete from jobs'))

const jobOf = (...containers: string[]) => ({ containers, data: {} })
const create = (...containers: string[]) => edge.createJob(jobOf(...containers))

type Waiting = { ids: Promise<string[]> }

/** A claim that has looked and now waits. */
async function wait(runner: TestRunner, request: Partial<ClaimRequest> = {}): Promise<Waiting> {
  proxy.takeStatements()
  const response = runner.postClaim({ wait_ms: waitMs, ...request })
  const ids = response.then(async answer => ((await answer.json()) as ClaimAnswer).jobs.map(job => job.id))
  await asked(runner)
  return { ids }
}

/**
 * Sends a request whose client leaves by a reset. workerd takes a mere end of the connection for a client that has no more to
 * say, which only the platform's own front door knows better.
 */
function sendToLeave(path: string, body: unknown, authorization = ''): { leave(): Promise<void> } {
  const headers = { 'content-type': 'application/json', authorization }
  const sent = httpRequest(new URL(path, edge.url), { method: 'POST', headers, agent: false })
  const closed = new Promise<void>(resolve => sent.on('close', resolve))
  sent.on('error', () => undefined)
  sent.end(JSON.stringify(body))
  return {
    async leave() {
      sent.socket?.resetAndDestroy()
      await closed
    },
  }
}

/** Until an instance has looked for jobs and then asked whether any have come since: from then on it waits. */
async function asked(runner: TestRunner): Promise<void> {
  let looked = false
  await expect
    .poll(
      () => {
        for (const { sql, args } of proxy.takeStatements()) {
          if (sql.includes('claim_seq') && args.some(({ value }) => value === runner.instance)) looked = true
          else if (looked && sql.includes('select 1 from queued_routes')) return true
        }
        return false
      },
      { interval: 5, timeout: 5_000 },
    )
    .toBe(true)
}

async function took<Result>(work: Promise<Result>): Promise<{ result: Result; ms: number }> {
  const startedAt = performance.now()
  const result = await work
  return { result, ms: performance.now() - startedAt }
}

describe('a claim that waits', () => {
  test('default: is answered when a job comes, within a fraction of a second', async () => {
    const times: number[] = []
    for (let i = 0; i < 5; i += 1) {
      const waiting = await wait(a)
      const id = await create('a')
      const { result, ms } = await took(waiting.ids)
      expect(result).toEqual([id])
      times.push(ms)
      await edge.db.orm.run('delete from jobs')
    }
    expect(Math.min(...times)).toBeLessThan(100)
    expect(Math.max(...times)).toBeLessThan(soonMs)
  })

  test('behavior: whose host has what a job requires is woken, and not who waits longer', async () => {
    const plain = await wait(a, { wait_ms: 3_000 })
    const waiting = await wait(bigA)
    const id = await edge.createJob({ ...jobOf('a'), requires: { gpu: 'H100' } })
    const { result, ms } = await took(waiting.ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(soonMs)
    expect(await plain.ids).toEqual([])
  })

  test('behavior: whose host gets a label while it waits is given what waits for that, and woken for more', async () => {
    const late = await startTestRunner(edge, [policyOf('a')], fetch, { zone: ['x'] })
    const has = (labels: object) =>
      late.post('/runner/register', {
        instance: late.instance,
        version: 'x',
        containers: [policyOf('a')],
        labels,
      })
    const id = await edge.createJob({ ...jobOf('a'), requires: { gpu: 'H100' } })
    const waiting = await wait(late)
    await has({ gpu: ['NVIDIA H100 80GB HBM3'] })
    expect(await waiting.ids).toEqual([id])
    await has({ zone: ['x'] })
    const again = await wait(late, { holding: [{ id, attempt: 1 }] })
    proxy.takeStatements()
    await has({ gpu: ['NVIDIA H100 80GB HBM3'] })
    // It has looked, found nothing, and waits as the host that it is by now.
    await expect
      .poll(() => proxy.takeStatements().some(({ sql }) => sql.includes('select 1 from queued_routes')))
      .toBe(true)
    const next = await edge.createJob({ ...jobOf('a'), requires: { gpu: 'H100' } })
    const { result, ms } = await took(again.ids)
    expect(result).toEqual([next])
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: one that was overtaken passes on what it was rung for, and not to who cannot take it', async () => {
    const alsoBig = await startTestRunner(edge, [policyOf('a')], fetch, { gpu: ['NVIDIA H100 80GB HBM3'] })
    const first = await wait(bigA)
    const plain = await wait(a, { wait_ms: 3_000 })
    const second = await wait(alsoBig)
    await edge.db.orm.run(
      `update instances set claim_seq = 1000, claim_token = 'later' where id = '${bigA.instance}'`,
    )
    const id = await edge.createJob({ ...jobOf('a'), requires: { gpu: 'H100' } })
    const { result, ms } = await took(second.ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(soonMs)
    expect(await first.ids).toEqual([])
    expect(await plain.ids).toEqual([])
    await edge.db.orm.run('update instances set claim_seq = 0')
  })

  test('behavior: is answered empty when its time is over', async () => {
    const { result, ms } = await took((await wait(a, { wait_ms: 300 })).ids)
    expect(result).toEqual([])
    expect(ms).toBeLessThan(300 + soonMs)
  })

  test('behavior: hears of jobs for its containers only', async () => {
    const [forA, forB] = [await wait(a), await wait(b)]
    const id = await create('b')
    expect((await took(forB.ids)).ms).toBeLessThan(soonMs)
    expect(await forB.ids).toEqual([id])
    const other = await create('a')
    expect((await took(forA.ids)).ms).toBeLessThan(soonMs)
    expect(await forA.ids).toEqual([other])
  })

  test('behavior: one job wakes one of two, and the other takes the next', async () => {
    const [first, second] = [await wait(a), await wait(alsoA)]
    const id = await create('a')
    expect(await first.ids).toEqual([id])
    const next = await create('a')
    const { result, ms } = await took(second.ids)
    expect(result).toEqual([next])
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: hears of jobs for a container with any name', async () => {
    const odd = await startTestRunner(edge, [policyOf('constructor')])
    const waiting = await wait(odd, { routes: [{ route: 'constructor', slots: 1 }] })
    const id = await create('constructor')
    const { result, ms } = await took(waiting.ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: a stream is claimed while its client has yet to hear that it is stored', async () => {
    const waiting = await wait(a)
    const storing = proxy.holdAnswer(/insert into jobs/)
    const asked = edge.request('/api/jobs/stream', { method: 'POST', body: JSON.stringify(jobOf('a')) })
    await storing.reached
    const { result, ms } = await took(waiting.ids)
    expect(ms).toBeLessThan(soonMs)
    storing.release()
    const { body } = await asked
    const { value } = (await body?.getReader().read()) ?? {}
    expect([new TextDecoder().decode(value).trim()]).toEqual(result)
  })

  test('behavior: a batch wakes as many as it has jobs', async () => {
    const both = [await wait(a, { max: 1 }), await wait(alsoA, { max: 1 })]
    await edge.create([jobOf('a'), jobOf('a')], { path: '/api/jobs/batch' })
    const { result, ms } = await took(Promise.all(both.map(waiting => waiting.ids)))
    expect(result.map(ids => ids.length)).toEqual([1, 1])
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: hears of a large job when its input is whole', async () => {
    const waiting = await wait(a)
    const id = await edge.createJob({ containers: ['a'], data: { x: 'x'.repeat(700_000) } })
    const { result, ms } = await took(waiting.ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(soonMs)
  })

  // Deno learns of a reset only after some requests: docs/architecture.md.
  test.skipIf(host === 'deno')('behavior: one whose client has left does not swallow the ring', async () => {
    proxy.takeStatements()
    const routes = [{ route: 'a', slots: 8 }]
    const claim = { instance: a.instance, seq: 1_000, routes, holding: [], max: 8, wait_ms: waitMs }
    const leaving = sendToLeave('/runner/claim', claim, `Bearer ${await a.token()}`)
    await asked(a)
    const staying = await wait(alsoA)
    await leaving.leave()
    // When the bell has learnt of it cannot be seen from outside.
    await sleep(1_000)
    const id = await create('a')
    const { result, ms } = await took(staying.ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(soonMs)
    await edge.db.orm.run('update instances set claim_seq = 0')
  })

  test('behavior: a later claim of the instance ends the one before, which gets nothing', async () => {
    const old = await wait(a)
    const waiting = await wait(a)
    expect(await old.ids).toEqual([])
    const id = await create('a')
    expect(await waiting.ids).toEqual([id])
  })

  test('behavior: a lease that lapsed is rung for by the sweep', async () => {
    const id = await create('a')
    await alsoA.claim()
    const waiting = await wait(a)
    await edge.db.orm.run(`update jobs set lease_expires_at = 0 where id = '${id}'`)
    await edge.runSchedule()
    const { result, ms } = await took(waiting.ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(soonMs)
  })

  test('behavior: a lease that lapses while it waits is taken at that moment', async () => {
    const id = await create('a')
    await alsoA.claim()
    await edge.db.orm.run(
      `update jobs set lease_expires_at = unixepoch('subsec') * 1000 + 2500 where id = '${id}'`,
    )
    const { result, ms } = await took((await wait(a)).ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(3_000 + soonMs)
  })

  test('behavior: the same while a lease of its own has lapsed, which it holds', async () => {
    const mine = await create('a')
    const [{ attempt }] = (await a.claim()) as [ClaimedJob]
    const id = await create('a')
    await alsoA.claim()
    await edge.db.orm.run(
      `update jobs set lease_expires_at = iif(id = '${id}', unixepoch('subsec') * 1000 + 2500, 0)`,
    )
    const { result, ms } = await took((await wait(a, { holding: [{ id: mine, attempt }] })).ids)
    expect(result).toEqual([id])
    expect(ms).toBeLessThan(3_000 + soonMs)
  })

  test('behavior: jobs for others do not make it look again', async () => {
    const waiting = await wait(b, { wait_ms: 1_000 })
    proxy.takeStatements()
    for (let i = 0; i < 20; i += 1) await create('a')
    expect(await waiting.ids).toEqual([])
    const looks = proxy.takeStatements().filter(({ sql }) => sql.includes('claim_seq'))
    expect(looks).toHaveLength(1)
  })
})

describe('a client that leaves', () => {
  test('behavior: before it was told of its job, a claim that waits hears of it all the same', async () => {
    const waiting = await wait(a)
    const hold = proxy.holdAnswer(/insert into jobs/)
    const client = sendToLeave('/api/jobs', jobOf('a'))
    await hold.reached
    await client.leave()
    // When the edge has learnt of it cannot be seen from outside.
    await sleep(100)
    hold.release()
    const { result, ms } = await took(waiting.ids)
    expect(result).toHaveLength(1)
    expect(ms).toBeLessThan(soonMs)
  })
})

describe('control', () => {
  const control = async (runner: TestRunner, body: object = {}) => {
    const request = { instance: runner.instance, holding: [], mode: 'run', wait_ms: waitMs, ...body }
    return (await (await runner.post('/runner/control', request)).json()) as object
  }
  const setMode = async (runner: TestRunner, mode: string) =>
    await edge.request(`/admin/runners/${runner.id}`, {
      method: 'PATCH',
      body: JSON.stringify({ mode }),
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    })
  const quiet = { cancel: [], mode: 'run', questions: [] }

  test('default: says nothing new when its time is over', async () => {
    expect(await control(a, { wait_ms: 50 })).toEqual(quiet)
  })

  test('behavior: hears of another mode at once, and then gets no jobs', async () => {
    await create('a')
    proxy.takeStatements()
    const waiting = control(a)
    await expect.poll(() => proxy.takeStatements().length).toBeGreaterThan(0)
    await setMode(a, 'pause')
    const { result, ms } = await took(waiting)
    expect(result).toEqual({ ...quiet, mode: 'pause' })
    expect(ms).toBeLessThan(soonMs)
    expect(await a.claim()).toEqual([])
    expect(await control(a, { mode: 'pause', wait_ms: 0 })).toEqual({ ...quiet, mode: 'pause' })
    await setMode(a, 'run')
    expect(await a.claim()).toHaveLength(1)
  })

  test('behavior: a new poll of the same runner takes the place of the one before, and both are quiet', async () => {
    proxy.takeStatements()
    const first = control(a)
    await expect.poll(() => proxy.takeStatements().length).toBeGreaterThan(0)
    const second = control(a)
    const { result, ms } = await took(first)
    expect(result).toEqual(quiet)
    expect(ms).toBeLessThan(soonMs)
    await setMode(a, 'pause')
    expect(await second).toEqual({ ...quiet, mode: 'pause' })
    await setMode(a, 'run')
    // One look as it came, and one when it was rung for.
    expect(proxy.takeStatements().filter(({ sql }) => sql.includes('from questions')).length).toBeLessThan(4)
  })

  test('behavior: hears at once of leases that ended without it', async () => {
    const id = await create('a')
    const [lease] = await a.claim()
    const holding = [
      { id, attempt: lease!.attempt },
      { id: '01900000-0000-7000-8000-000000000000', attempt: 1 },
    ]
    expect(await control(a, { holding })).toEqual({ ...quiet, cancel: [holding[1]] })
    await edge.db.orm.run(`update jobs set state = 'failed', finished_at = 1 where id = '${id}'`)
    expect(await control(a, { holding })).toEqual({ ...quiet, cancel: holding })
  })
})
