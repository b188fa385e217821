import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { maxAttempts, maxUnheardAttempts } from '../../src/edge/jobs/claim.ts'
import { sweep } from '../../src/edge/jobs/sweep.ts'
import { revoke, setMode } from '../../src/edge/runners/enrol.ts'
import { leaseMs, maxTries, miscounts, newJob, type Queue, result, startQueue } from '../support/queue.ts'

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())
beforeEach(async () => await queue.clear())

const idsOf = (jobs: readonly { id: string }[]) => jobs.map(job => job.id)

const unlabelled = { labels: {}, gpu_labels: [] }

describe('order', () => {
  test('default: oldest first, as many as asked for', async () => {
    const ids = [await queue.add(), await queue.add(), await queue.add()]
    const host = await queue.host()
    expect(idsOf(await queue.claim(host, { max: 2 }))).toEqual(ids.slice(0, 2))
    expect(idsOf(await queue.claim(host, { holding: ids.map(id => ({ id, attempt: 1 })) }))).toEqual([ids[2]])
  })

  test('behavior: a higher priority goes before age, over all routes', async () => {
    const [old, urgent, middle] = [
      await queue.add({ route: 'a' }),
      await queue.add({ route: 'b', priority: 5 }),
      await queue.add({ route: 'c', priority: 2 }),
    ]
    const host = await queue.host()
    const routes = ['a', 'b', 'c'].map(route => ({ route, slots: 1 }))
    expect(idsOf(await queue.claim(host, { routes, max: 1 }))).toEqual([urgent])
    const holding = [{ id: urgent!, attempt: 1 }]
    expect(idsOf(await queue.claim(host, { routes, max: 1, holding }))).toEqual([middle])
    expect(idsOf(await queue.claim(await queue.host(), { routes, max: 1 }))).toEqual([old])
  })

  test('behavior: a job behind thousands of another route is found', async () => {
    const [other] = await queue.enqueue({
      jobs: Array.from({ length: 3_000 }, () => newJob({ route: 'other' })),
    })
    const id = await queue.add({ route: 'a' })
    expect(idsOf(await queue.claim(await queue.host()))).toEqual([id])
    expect((await queue.read(other!))?.state).toBe('queued')
  })

  test('behavior: a job is given to one of many that claim at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => queue.add()))
    const hosts = await Promise.all(Array.from({ length: 10 }, () => queue.host()))
    const claimed = await Promise.all(hosts.map(host => queue.claim(host, { max: 4 })))
    expect(idsOf(claimed.flat()).toSorted()).toEqual(await queue.ids())
  })
})

describe('routes and slots', () => {
  test('default: only listed routes, and of each as many as it has slots', async () => {
    for (let i = 0; i < 4; i += 1) for (const route of ['a', 'b', 'c']) await queue.add({ route })
    const routes = [
      { route: 'a', slots: 1 },
      { route: 'b', slots: 3 },
    ]
    const claimed = await queue.claim(await queue.host(), { routes, max: 64 })
    expect(claimed.map(job => job.route).toSorted()).toEqual(['a', 'b', 'b', 'b'])
  })

  test('behavior: a route without slots, or no route at all, gets nothing', async () => {
    await queue.add()
    const host = await queue.host()
    expect(await queue.claim(host, { routes: [{ route: 'a', slots: 0 }] })).toEqual([])
    expect(await queue.claim(host, { routes: [] })).toEqual([])
  })

  test('behavior: a chain is served when all of its containers are listed, by the least of their slots', async () => {
    for (let i = 0; i < 3; i += 1) await queue.add({ route: 'a,b' })
    const host = await queue.host()
    expect(await queue.claim(host, { routes: [{ route: 'a', slots: 9 }] })).toEqual([])
    const full = [
      { route: 'a', slots: 9 },
      { route: 'b', slots: 0 },
    ]
    expect(await queue.claim(host, { routes: full })).toEqual([])
    const routes = [
      { route: 'a', slots: 9 },
      { route: 'b', slots: 2 },
    ]
    expect(await queue.claim(host, { routes })).toHaveLength(2)
  })

  test('behavior: a declared chain has slots of its own', async () => {
    for (let i = 0; i < 3; i += 1) await queue.add({ route: 'a,b' })
    const routes = [
      { route: 'a', slots: 9 },
      { route: 'b', slots: 9 },
      { route: 'a,b', slots: 1 },
    ]
    expect(await queue.claim(await queue.host(), { routes })).toHaveLength(1)
  })

  test('behavior: names that mean something to JSON or SQL are only names', async () => {
    const id = await queue.add({ route: 'a' })
    const odd = ['"', `a"],["a`, "a' or 1=1 --", '__proto__', '\ud800', '%', 'a,', ',a', ',', '[]', '\u0000']
    const host = await queue.host()
    expect(await queue.claim(host, { routes: odd.map(route => ({ route, slots: 9 })) })).toEqual([])
    expect(idsOf(await queue.claim(host))).toEqual([id])
  })
})

describe('inline input', () => {
  test('default: data comes along while all of it fits, else only its size', async () => {
    const data = JSON.stringify({ x: 'y'.repeat(1_000) })
    await queue.add({ data })
    const host = await queue.host()
    expect(await queue.claim(host, { max: 1, inlineBytes: 1_000 })).toMatchObject([
      { data: null, data_bytes: data.length },
    ])
    expect(await queue.claim(host, { max: 1, inlineBytes: data.length })).toMatchObject([
      { data, data_bytes: data.length },
    ])
  })
})

describe('leases', () => {
  test('default: a lapsed lease is put back by the next claim, and claimed anew', async () => {
    const id = await queue.add()
    await queue.claim(await queue.host())
    const other = await queue.host()
    expect(await queue.claim(other)).toEqual([])
    queue.clock.ms += leaseMs
    expect(await queue.claim(other)).toMatchObject([{ id, attempt: 2 }])
  })

  test('behavior: a lease that is renewed in time does not lapse', async () => {
    const id = await queue.add()
    const holder = await queue.host()
    const [lease] = await queue.claim(holder)
    queue.clock.ms += leaseMs - 1
    expect(await queue.beat(holder, [lease!])).toEqual([id])
    queue.clock.ms += leaseMs - 1
    expect(await queue.claim(await queue.host())).toEqual([])
  })

  test('behavior: a heartbeat takes up a lapsed lease that nobody has claimed', async () => {
    const id = await queue.add()
    const holder = await queue.host()
    const [lease] = await queue.claim(holder)
    queue.clock.ms += leaseMs
    await queue.claim(await queue.host(), { routes: [{ route: 'other', slots: 1 }] })
    expect((await queue.read(id))?.state).toBe('queued')
    expect(await queue.beat(holder, [lease!])).toEqual([id])
    expect(await queue.read(id)).toMatchObject({ state: 'running', attempt: 1 })
    expect(await queue.claim(await queue.host())).toEqual([])
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: a heartbeat for an attempt that was overtaken keeps nothing', async () => {
    await queue.add()
    const holder = await queue.host()
    const [lease] = await queue.claim(holder)
    queue.clock.ms += leaseMs
    const thief = await queue.host()
    const [stolen] = await queue.claim(thief)
    expect(await queue.beat(holder, [lease!])).toEqual([])
    expect(await queue.beat(holder, [stolen!])).toEqual([])
    expect(await queue.beat(thief, [stolen!])).toEqual([stolen!.id])
  })

  test('behavior: leases lost with a claim response are given again at once, as another attempt', async () => {
    const ids = [await queue.add(), await queue.add()]
    const host = await queue.host()
    const lost = await queue.claim(host)
    expect(idsOf(lost)).toEqual(ids)
    const again = await queue.claim(host, { holding: [{ id: ids[1]!, attempt: 1 }] })
    expect(again).toMatchObject([{ id: ids[0], attempt: 2 }])
  })

  test.each(['the claim itself', 'the sweep'])(
    'behavior: a lapsed lease that its holder still names is not given to it anew, put back by %s',
    async by => {
      const id = await queue.add()
      const [host, other] = [await queue.host(), await queue.host()]
      const [lease] = await queue.claim(host)
      queue.clock.ms += leaseMs
      if (by === 'the sweep') await sweep(queue.db, { maxTries, retentionMs: 1e12 })
      expect(await queue.claim(host, { holding: [lease!] })).toEqual([])
      expect(await queue.beat(host, [lease!])).toEqual([id])
      queue.clock.ms += leaseMs
      expect(await queue.claim(other)).toMatchObject([{ id, attempt: 2 }])
    },
  )

  test('behavior: a lease held under an older attempt is not held', async () => {
    const id = await queue.add()
    const host = await queue.host()
    await queue.claim(host)
    await queue.claim(host)
    expect(await queue.claim(host, { holding: [{ id, attempt: 1 }] })).toMatchObject([{ id, attempt: 3 }])
  })

  test("behavior: another process of the same runner does not put back its neighbour's leases", async () => {
    await queue.add()
    const first = await queue.host()
    await queue.claim(first)
    expect(await queue.claim(await queue.host(first.runner))).toEqual([])
  })

  test('behavior: a claim overtaken by a later one gets nothing, a waiting one looks again', async () => {
    const host = await queue.host()
    const waiting = { seq: 1_000_000, token: 'waiting' }
    expect(await queue.tryClaim(host, waiting)).toEqual({
      passed: true,
      jobs: [],
      lapsed: [],
      host: unlabelled,
    })
    await queue.add()
    expect((await queue.tryClaim(host, { ...waiting, max: 1 })).jobs).toHaveLength(1)
    expect(await queue.tryClaim(host, { seq: 1_000_001 })).toMatchObject({ passed: true })
    await queue.add()
    expect(await queue.tryClaim(host, waiting)).toEqual({
      passed: false,
      jobs: [],
      lapsed: [],
      host: unlabelled,
    })
    expect(await queue.tryClaim(host, { seq: 1_000_000, token: 'late' })).toEqual({
      passed: false,
      jobs: [],
      lapsed: [],
      host: unlabelled,
    })
    expect(await queue.tryClaim(host, { seq: 1_000_001, token: 'same number' })).toMatchObject({
      passed: false,
    })
  })
})

describe('who may claim', () => {
  test('behavior: a revoked runner gets nothing, and puts nothing back', async () => {
    await queue.add()
    const host = await queue.host()
    await queue.claim(host, { max: 1 })
    await queue.add()
    await revoke(queue.db, host.runner)
    expect(await queue.tryClaim(host)).toEqual({ passed: false, jobs: [], lapsed: [], host: unlabelled })
    const rows = await queue.db.orm.all<{ state: string }>(sql`select state from jobs order by id`)
    expect(rows.map(row => row.state)).toEqual(['running', 'queued'])
  })

  test('behavior: a runner told to pause or drain gets nothing until it may run', async () => {
    await queue.add()
    const host = await queue.host()
    for (const mode of ['pause', 'drain'] as const) {
      await setMode(queue.db, { id: host.runner, mode })
      expect(await queue.tryClaim(host)).toEqual({ passed: false, jobs: [], lapsed: [], host: unlabelled })
    }
    await setMode(queue.db, { id: host.runner, mode: 'run' })
    expect(await queue.claim(host)).toHaveLength(1)
  })

  test('behavior: an instance serves only the runner that registered it', async () => {
    await queue.add()
    const [host, other] = [await queue.host(), await queue.host()]
    expect(await queue.tryClaim({ ...other, instance: host.instance })).toMatchObject({ passed: false })
    expect(await queue.tryClaim({ ...host, instance: 'unknown' })).toMatchObject({ passed: false })
  })
})

describe('bounds', () => {
  test('default: a job that was started max_tries times and lost fails', async () => {
    const id = await queue.add()
    for (let attempt = 1; attempt <= maxTries; attempt += 1) {
      const host = await queue.host()
      const [lease] = await queue.claim(host)
      expect(lease).toMatchObject({ id, attempt })
      await queue.beat(host, [lease!], { started: true })
      await queue.beat(host, [lease!], { started: true })
      expect((await queue.read(id))?.tries).toBe(attempt)
      queue.clock.ms += leaseMs
    }
    expect(await queue.claim(await queue.host())).toEqual([])
    expect(await queue.read(id)).toMatchObject({
      state: 'failed',
      error_code: 'lease_lost',
      error_message: 'The runner stopped answering, 3 times.',
      finished_at: queue.clock.ms,
      lease_expires_at: null,
    })
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: leases that never started cost no try, but end after so many attempts', async () => {
    const id = await queue.add()
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      expect(await queue.claim(await queue.host())).toMatchObject([{ id, attempt }])
      queue.clock.ms += leaseMs
    }
    expect(await queue.claim(await queue.host())).toEqual([])
    expect(await queue.read(id)).toMatchObject({ state: 'failed', attempt: maxAttempts, tries: 0 })
  })

  test('behavior: leases whose answers were lost count for none that lapses', async () => {
    const id = await queue.add()
    const hasty = await queue.host()
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) await queue.claim(hasty)
    // The last one was heard of, for all that anybody knows.
    for (let lapsed = 1; lapsed < maxAttempts; lapsed += 1) {
      queue.clock.ms += leaseMs
      expect(await queue.claim(await queue.host())).toMatchObject([{ id, attempt: maxAttempts + lapsed }])
    }
    queue.clock.ms += leaseMs
    expect(await queue.claim(await queue.host())).toEqual([])
    expect(await queue.read(id)).toMatchObject({
      state: 'failed',
      attempt: 2 * maxAttempts - 1,
      unheard: maxAttempts - 1,
      error_message: `The runner stopped answering, ${maxAttempts} times.`,
    })
  })

  test('behavior: a claim response that is lost each time ends after a hundred attempts', async () => {
    const id = await queue.add()
    const host = await queue.host()
    for (let attempt = 1; attempt <= maxUnheardAttempts; attempt += 1) {
      expect(await queue.claim(host)).toMatchObject([{ id, attempt }])
    }
    expect(await queue.claim(host)).toEqual([])
    expect(await queue.read(id)).toMatchObject({ state: 'failed', error_code: 'lease_lost' })
  })

  test('behavior: a job that waited too long is not given out, even before the sweep', async () => {
    const id = await queue.add({ expiryMs: 1_000 })
    queue.clock.ms += 1_000
    expect(await queue.claim(await queue.host())).toEqual([])
    expect((await queue.read(id))?.state).toBe('queued')
  })

  test('behavior: a report counts the try that no heartbeat told of', async () => {
    const id = await queue.add()
    const host = await queue.host()
    const [lease] = await queue.claim(host)
    await queue.finish(host, result(lease!))
    expect(await queue.read(id)).toMatchObject({ tries: 1, started_at: expect.any(Number) })
  })
})
