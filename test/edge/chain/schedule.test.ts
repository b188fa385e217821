import { sql } from 'drizzle-orm'
import { type Hex, sha256 } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Status, Subscription } from '../../../src/edge/chain/chain.ts'
import { resumesAt } from '../../../src/edge/chain/failing.ts'
import { cancelledAt } from '../../../src/edge/chain/interval.ts'
import { type ScheduleOptions, schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { readWork } from '../../../src/edge/chain/tick/work.ts'
import { routeOf } from '../../../src/protocol/container.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'
import { miscounts, newJob, type Queue, result, startQueue } from '../../support/queue.ts'
import { policyOf } from '../../support/runner.ts'
import { blockAt, chainId, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

const time = 1_000
const recurring = { activeAt: 900, period: 100, frequency: 3 } as const

let queue: Queue
let node: TestNode

const dueAt = async () => (await readWork(queue.db, { chain: chainId, at: 0 }))?.dueAt

beforeAll(async () => {
  queue = await startQueue()
  node = await createNode(queue)
})
afterAll(async () => await queue.close())
beforeEach(async () => {
  await node.clear()
  queue.clock.ms = 1_800_000_000_000
})

type Rest = Parameters<typeof chainOf>[2]

/** Stores them as a sync at `time` would, which saw them with an input. */
async function store(subscriptions: readonly Subscription[], at = time): Promise<void> {
  const chain = chainOf(subscriptions, at)
  const cursor = await node.cursor()
  await sync(node.step(blockAt(at)), { cursor, ...chain, routes: node.routes })
  node.lines.length = 0
}

async function scheduleAt(
  at: number,
  subscriptions: readonly Subscription[],
  {
    rest = {},
    step = {},
    ...options
  }: { rest?: Rest; step?: Parameters<TestNode['step']>[1] } & Partial<ScheduleOptions> = {},
) {
  const { readStatuses, nextId } = chainOf(subscriptions, at, rest)
  const asked = { readStatuses, nextId, routes: node.routes }
  return await schedule(node.step(blockAt(at), step), { ...asked, ...options })
}

describe('schedule', () => {
  test('default: a callback becomes a job and a delivery, once, and nothing is due any more', async () => {
    const subscription = subscriptionOf({ id: 1 })
    await store([subscription])
    const ticket = await node.bells('claims').ticket()
    expect(await scheduleAt(time, [subscription], { rest: { 1: { input: '0xCAFE' } } })).toEqual({
      begun: 1,
      left: false,
    })
    const [job] = await node.jobs()
    expect(job).toEqual({
      id: job!.id,
      owner: `chain:${chainId}`,
      state: 'queued',
      route: 'a',
      source: 0,
      destination: 0,
      requires_proof: 0,
      data: '"CAFE"',
      data_bytes: 6,
      data_parts: 0,
      created_at: queue.clock.ms,
      expires_at: queue.clock.ms + 24 * 3_600_000,
    })
    expect(await node.deliveries()).toEqual([
      { subscription: 1, interval: 1, job: job!.id, state: 'computing', reason: null, deadline: null },
    ])
    expect(await node.rows()).toMatchObject([
      {
        state: 'ended',
        due_at: null,
        next_interval: 2,
        reason: 'begun',
        message: 'Its last interval is begun',
      },
    ])
    expect(node.lines).toEqual([
      {
        event: 'Processing subscription',
        fields: { chain: chainId, subscription: 1, interval: 1, job: job!.id, route: 'a' },
      },
    ])
    const heard = await node.bells('claims').wait({ ticket, key: 'test', names: ['a'], waitMs: 10_000 })
    expect(heard.rung).toEqual(['a'])
    expect(await scheduleAt(time + 5, [subscription])).toEqual({ begun: 0, left: false })
    expect(await dueAt()).toBeNull()
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('default: a runner takes the job, and its answer is there to be delivered', async () => {
    const subscription = subscriptionOf({ id: 1 })
    await store([subscription])
    await scheduleAt(time, [subscription])
    const host = await queue.host()
    const [lease] = await queue.claim(host)
    expect(lease).toMatchObject({ source: 0, destination: 0, data: '"01"' })
    expect(await queue.finish(host, result(lease!))).toEqual(['accepted'])
    expect(await node.deliveries()).toMatchObject([{ job: lease!.id, state: 'computed' }])
  })

  test('default: a recurring one is begun in each of its intervals, and ends after the last', async () => {
    const subscription = subscriptionOf({ id: 1, ...recurring })
    await store([subscription])
    for (const at of [1_000, 1_001, 1_099, 1_100, 1_150, 1_200]) await scheduleAt(at, [subscription])
    expect((await node.deliveries()).map(({ interval, deadline }) => [interval, deadline])).toEqual([
      [2, 1_100],
      [3, 1_200],
    ])
    expect((await node.jobs()).map(job => job.expires_at - job.created_at)).toEqual([100_000, 100_000])
    expect(await node.rows()).toMatchObject([{ state: 'ended', reason: 'begun', next_interval: 4 }])
  })

  test('behavior: what is at hand is not read again', async () => {
    const subscriptions = [1, 2].map(id => subscriptionOf({ id }))
    const chain = chainOf(subscriptions, time)
    const cursor = await node.cursor()
    const step = node.step(blockAt(time))
    const { statuses: known } = await sync(step, { cursor, ...chain, routes: node.routes })
    chain.asked.length = 0
    expect(await schedule(step, { ...chain, routes: node.routes, known })).toEqual({ begun: 2, left: false })
    expect(chain.asked).toEqual([])
  })

  test('behavior: nothing due: one statement, and nothing is read', async () => {
    const subscription = subscriptionOf({ id: 1, activeAt: time + 1 })
    await store([subscription])
    const chain = chainOf([subscription], time)
    queue.proxy.takeStatements()
    await schedule(node.step(blockAt(time)), { ...chain, routes: node.routes })
    expect([queue.proxy.takeStatements().length, chain.asked]).toEqual([1, []])
    expect(await dueAt()).toBe(time + 1)
  })

  test('behavior: a long input goes into a part', async () => {
    const subscription = subscriptionOf({ id: 1 })
    const [short, long] = [`0x${'ab'.repeat(32_767)}`, `0x${'ab'.repeat(65_440)}`] as const
    await store([subscription, subscriptionOf({ id: 2 })])
    const rest = { 1: { input: short }, 2: { input: long } }
    await scheduleAt(time, [subscription, subscriptionOf({ id: 2 })], { rest })
    expect((await node.jobs()).map(job => [job.data?.length, job.data_bytes, job.data_parts])).toEqual([
      [65_536, 65_536, 0],
      [undefined, 130_882, 1],
    ])
    const [part] = await queue.db.orm.all<{ bytes: ArrayBuffer }>(sql`select bytes from parts`)
    expect(Buffer.from(part!.bytes).toString()).toBe(JSON.stringify(long.slice(2)))
    expect(await miscounts(queue.db)).toEqual([])
  })

  const wallet = { funds: 10n, allowance: 10n, prepayment: 0n }
  const paying = { paymentAmount: 10n } as const
  const obstacles: [string, string, Partial<Subscription>, Partial<Status>][] = [
    ['no input', 'no_input', {}, { input: null }],
    ['a wallet that is not the factory’s', 'invalid_wallet', paying, { wallet: null }],
    ['too little money', 'insufficient_balance', paying, { wallet: { ...wallet, funds: 9n } }],
    ['too little allowance', 'insufficient_allowance', paying, { wallet: { ...wallet, allowance: 9n } }],
    [
      'too little prepaid',
      'insufficient_prepayment',
      { ...paying, prepaid: true, expiresAt: 10_000 },
      { wallet: { ...wallet, prepayment: 9n } },
    ],
  ]
  test.for(obstacles)(
    'behavior: with %s it waits, longer each time, and then begins',
    async ([, reason, terms, bad]) => {
      const subscription = subscriptionOf({ id: 1, ...terms })
      await store([subscription])
      const pauses: number[] = []
      let at = time
      for (let look = 0; look < 9; look += 1) {
        await scheduleAt(at, [subscription], { rest: { 1: bad } })
        const [row] = await node.rows()
        expect(row).toMatchObject({ state: 'active', reason, tries: look + 1, next_interval: 1 })
        pauses.push(row!.due_at! - at)
        at = row!.due_at!
      }
      expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 600, 600])
      expect(await node.jobs()).toEqual([])
      expect(node.events()[0]).toMatch(/^Skipping subscription: 1: /)
      const good = { wallet: terms.prepaid ? { ...wallet, funds: 0n, prepayment: 10n } : wallet }
      expect(await scheduleAt(at, [subscription], { rest: { 1: good } })).toMatchObject({ begun: 1 })
      expect(await node.rows()).toMatchObject([{ reason: 'begun' }])
    },
  )

  test('behavior: what waits looks again when its next interval begins', async () => {
    const subscription = subscriptionOf({ id: 1, ...recurring })
    await store([subscription], 1_098)
    await scheduleAt(1_098, [subscription], { rest: { 1: { input: null } } })
    expect(await node.rows()).toMatchObject([{ due_at: 1_100, next_interval: 2 }])
    await scheduleAt(1_100, [subscription])
    expect(await node.deliveries()).toMatchObject([{ interval: 3 }])
  })

  test('behavior: what was waited for in one interval is not held against the next', async () => {
    const subscription = subscriptionOf({ id: 1, ...recurring })
    await store([subscription])
    const nothing = { rest: { 1: { input: null } } }
    for (const at of [1_000, 1_005, 1_015, 1_035, 1_075, 1_100]) await scheduleAt(at, [subscription], nothing)
    expect(await node.rows()).toMatchObject([{ due_at: 1_105, tries: 1, next_interval: 3 }])
    expect(await scheduleAt(1_105, [subscription])).toMatchObject({ begun: 1 })
    expect(await node.deliveries()).toMatchObject([{ interval: 3 }])
  })

  const passed: [string, Partial<Status>, string][] = [
    ['this node has answered', { responded: true }, 'Node has already responded for this interval'],
    ['others have answered', { count: 1 }, 'Subscription already completed'],
  ]
  test.for(passed)('behavior: an interval that %s is left out', async ([, status, event]) => {
    const subscription = subscriptionOf({ id: 1, ...recurring })
    await store([subscription])
    await scheduleAt(time, [subscription], { rest: { 1: status } })
    expect(await node.rows()).toMatchObject([{ state: 'active', due_at: 1_100, next_interval: 3 }])
    expect(node.events()).toEqual([event])
    await scheduleAt(1_100, [subscription], { rest: { 1: status } })
    expect(await node.rows()).toMatchObject([{ state: 'ended', due_at: null }])
    expect(node.events()).toEqual([event, event, 'Stopped tracking subscription: 1'])
    expect(await node.jobs()).toEqual([])
  })

  test('behavior: an interval whose time is over by the newest block is left out', async () => {
    const subscription = subscriptionOf({ id: 1, ...recurring })
    await store([subscription])
    await scheduleAt(time, [subscription], { step: { latest: blockAt(1_100) } })
    expect(await node.rows()).toMatchObject([{ state: 'active', due_at: 1_100, next_interval: 3 }])
    await scheduleAt(1_100, [subscription], { step: { latest: blockAt(1_190) } })
    expect((await node.jobs()).map(job => job.expires_at - job.created_at)).toEqual([10_000])
  })

  const endings: [string, Partial<Subscription>, string, string][] = [
    ['cancelled', { activeAt: cancelledAt }, 'cancelled', 'Subscription cancelled'],
    ['over', { activeAt: 0, period: 1, frequency: 2 }, 'expired', 'Subscription expired'],
    ['expired', { expiresAt: time }, 'expired', 'Subscription expired'],
  ]
  test.for(endings)('behavior: one that is %s ends', async ([, terms, reason, event]) => {
    const seen = subscriptionOf({ id: 1, ...terms, activeAt: time - 1, expiresAt: 0 })
    await store([seen], time - 1)
    await scheduleAt(time, [{ ...seen, ...terms }])
    expect(await node.rows()).toMatchObject([{ state: 'ended', reason, due_at: null }])
    expect(node.events()).toEqual([event, 'Stopped tracking subscription: 1'])
  })

  test('behavior: one that is cancelled while its answer is computed keeps its delivery', async () => {
    const subscription = subscriptionOf({ id: 1, ...recurring })
    await store([subscription])
    await scheduleAt(time, [subscription])
    await scheduleAt(1_100, [{ ...subscription, activeAt: cancelledAt }])
    expect(await node.deliveries()).toMatchObject([{ interval: 2, state: 'computing' }])
    expect(await node.rows()).toMatchObject([{ state: 'ended', reason: 'cancelled' }])
  })

  test('behavior: a full queue leaves it due; with room again it begins', async () => {
    const subscriptions = [1, 2, 3].map(id => subscriptionOf({ id }))
    await store(subscriptions)
    const step = { bounds: { maxQueuedPerOwner: 2 } }
    expect(await scheduleAt(time, subscriptions, { step })).toEqual({ begun: 2, left: true })
    expect(await scheduleAt(time, subscriptions, { step })).toEqual({ begun: 0, left: true })
    expect((await node.rows()).map(({ state }) => state)).toEqual(['ended', 'ended', 'active'])
    expect(await node.deliveries()).toHaveLength(2)
    const bytes = { bounds: { maxBytesPerOwner: 11 } }
    expect(await scheduleAt(time, subscriptions, { step: bytes })).toEqual({ begun: 0, left: true })
    expect(await scheduleAt(time, subscriptions)).toEqual({ begun: 1, left: false })
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: under another policy nothing is stored, and one that bars it refuses it', async () => {
    const subscription = subscriptionOf({ id: 1 })
    await store([subscription])
    const step = node.step(blockAt(time))
    const stale = await step.policy.read()
    await node.offer(policyOf('a', { allowed_addresses: ['0x00'] }))
    const held = { ...step, policy: { read: async () => stale, readCurrent: async () => stale } }
    const chain = chainOf([subscription], time)
    expect(await schedule(held, { ...chain, routes: node.routes })).toEqual({ begun: 0, left: true })
    expect(await node.rows()).toMatchObject([{ state: 'active', due_at: time }])
    expect(await scheduleAt(time, [subscription])).toEqual({ begun: 0, left: false })
    expect(await node.rows()).toMatchObject([
      { state: 'refused', due_at: null, reason: 'not_allowed', epoch: stale.epoch + 1 },
    ])
    expect(await node.jobs()).toEqual([])
  })

  test('behavior: clients who have all lanes open that they may leave some to chains', async () => {
    const subscriptions = ['a,b', 'b,a'].map((route, index) =>
      subscriptionOf({ id: index + 1, containerId: containerIdOf(route) }),
    )
    await store(subscriptions)
    const open = async (from: number, owner: string) => {
      const jobs = Array.from({ length: 32 }, (_, index) =>
        newJob({ route: routeOf(['a'], { gpu_memory_gib: 32 * from + index }) }),
      )
      return (await queue.enqueue({ owner, jobs })).size
    }
    for (let owner = 0; owner < 12; owner += 1) expect(await open(owner, `ip:192.0.2.${owner}`)).toBe(32)
    expect(await open(12, 'ip:192.0.2.12')).toBe(0)
    expect(await scheduleAt(time, subscriptions)).toMatchObject({ begun: 2 })
    expect((await node.jobs()).map(({ route }) => route)).toEqual(expect.arrayContaining(['a,b', 'b,a']))
  })

  test('behavior: what finds no lane free waits, keeps nothing else from being begun, and is begun when one is', async () => {
    const { orm } = queue.db
    await node.offer(policyOf('a'), policyOf('b'), policyOf('c'))
    const subscriptions = ['a,b', 'b,a', 'c'].map((route, index) =>
      subscriptionOf({ id: index + 1, containerId: containerIdOf(route) }),
    )
    await store(subscriptions)
    const lanes = JSON.stringify(Array.from({ length: 128 }, (_, index) => `x${index},y`))
    await orm.run(
      sql`insert into queued_routes (route, queued, opener) select value, 1, 'chain:1' from json_each(${lanes})`,
    )
    const look = async (at: number) => {
      const step = node.step(blockAt(at), { config: { batchSize: 2 } })
      return await schedule(step, { ...chainOf(subscriptions, at), routes: node.routes })
    }
    await look(time)
    await look(time + 1)
    const routes = async () => (await node.jobs()).map(({ route }) => route)
    expect(await routes()).toEqual(['c'])
    expect((await node.rows()).map(({ reason }) => reason)).toEqual(['no_lane', 'no_lane', 'begun'])
    await orm.run(sql`delete from queued_routes where opener = 'chain:1'`)
    await look(time + 60)
    expect((await routes()).sort()).toEqual(['a,b', 'b,a', 'c'])
  })

  test('behavior: what could not be read when it was new is stored and begun when it can', async () => {
    const subscription = subscriptionOf({ id: 1, containerId: containerIdOf('a,b') })
    const chain = chainOf([subscription], time, { 1: 'failed' })
    await sync(node.step(blockAt(time)), { cursor: await node.cursor(), ...chain, routes: node.routes })
    await scheduleAt(time, [subscription], { rest: { 1: 'failed' } })
    expect(await node.rows()).toMatchObject([{ reason: 'unreadable', due_at: time + 5, tries: 1 }])
    expect(await scheduleAt(time + 5, [subscription])).toMatchObject({ begun: 1 })
    expect(await node.jobs()).toMatchObject([{ route: 'a,b' }])
  })

  test('behavior: what there was no time for waits as long as it did before, and was not tried', async () => {
    const subscription = subscriptionOf({ id: 1 })
    await store([subscription])
    const looks: [number, 'failed' | 'unasked'][] = [
      [0, 'unasked'],
      [5, 'failed'],
      [10, 'unasked'],
      [20, 'unasked'],
    ]
    const rows: unknown[] = []
    for (const [seconds, what] of looks) {
      await scheduleAt(time + seconds, [subscription], { rest: { 1: what } })
      const [row] = await node.rows()
      rows.push([row?.reason, row?.tries, (row?.due_at ?? 0) - time])
    }
    expect(rows).toEqual([
      ['unasked', 0, 5],
      ['unreadable', 1, 10],
      ['unasked', 1, 20],
      ['unasked', 1, 30],
    ])
    expect(await scheduleAt(time + 30, [subscription])).toMatchObject({ begun: 1 })
  })

  test('behavior: what is not read, though the coordinator counts it, is not gone', async () => {
    const [first, second] = [1, 2].map(id => subscriptionOf({ id })) as [Subscription, Subscription]
    await store([first, second])
    await scheduleAt(time, [second], { rest: { 2: { input: null } } })
    expect(await node.rows()).toMatchObject([
      { state: 'active', reason: 'unreadable', due_at: time + 5, tries: 1 },
      { state: 'active', reason: 'no_input' },
    ])
    expect(await scheduleAt(time + 5, [first], { nextId: 2 })).toMatchObject({ begun: 1 })
    expect((await node.rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ['ended', 'begun'],
      ['ended', 'vanished'],
    ])
  })

  test('behavior: what would not be accepted is not computed', async () => {
    const subscriptions = [
      subscriptionOf({ id: 1 }),
      subscriptionOf({ id: 2, ...recurring }),
      subscriptionOf({ id: 3, ...recurring }),
      subscriptionOf({ id: 4 }),
      subscriptionOf({ id: 5, verifier: '0x00000000000000000000000000000000000000dd' }),
    ]
    await node.offer(policyOf('a', { generates_proofs: true }))
    await store(subscriptions)
    const trial = (kind: 'stop' | 'retry') =>
      ({ kind, code: 'insufficient_allowance', message: 'No.' }) as const
    const tried: unknown[] = []
    await scheduleAt(time, subscriptions, {
      async simulate(requests) {
        tried.push(...requests.map(({ subscription, interval }) => [subscription.id, interval]))
        return new Map([
          [1, trial('stop')],
          [2, trial('stop')],
          [3, trial('retry')],
        ])
      },
    })
    expect(tried.toSorted()).toEqual([
      [1, 1],
      [2, 2],
      [3, 2],
      [4, 1],
    ])
    const why = { reason: 'insufficient_allowance', message: 'No.' }
    expect(await node.rows()).toMatchObject([
      { ...why, state: 'ended', due_at: null },
      { ...why, state: 'active', due_at: 1_100, next_interval: 3 },
      { ...why, state: 'active', due_at: time + 5, next_interval: 2, tries: 1 },
      { state: 'ended', reason: 'begun' },
      { state: 'ended', reason: 'begun' },
    ])
    expect((await node.jobs()).map(job => job.requires_proof).toSorted()).toEqual([0, 1])
    await scheduleAt(time, subscriptions)
    expect(await node.deliveries()).toHaveLength(2)
  })

  test('behavior: two schedulers at once begin each interval once', async () => {
    const subscriptions = Array.from({ length: 120 }, (_, index) =>
      subscriptionOf({ id: index + 1, ...recurring }),
    )
    await store(subscriptions)
    for (const at of [1_000, 1_050, 1_100]) {
      await Promise.all([1, 2, 3].map(() => scheduleAt(at, subscriptions)))
      // Who was overtaken leaves the rest for its next tick.
      while ((await scheduleAt(at, subscriptions)).left);
    }
    const deliveries = await node.deliveries()
    expect(deliveries).toHaveLength(240)
    expect((await node.jobs()).map(({ id }) => id).toSorted()).toEqual(
      deliveries.map(({ job }) => job).toSorted(),
    )
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: a batch that is done twice, as when a proxy sends it again, begins nothing twice', async () => {
    const long: Hex = `0x${'00'.repeat(40_000)}`
    const subscriptions = [1, 2].map(id => subscriptionOf({ id, ...recurring }))
    await store(subscriptions)
    const step = node.step(blockAt(time))
    const { readStatuses, nextId } = chainOf(subscriptions, time, { 2: { input: long } })
    const { orm } = step.db
    const twice: typeof orm.batch = async statements => {
      await orm.batch(statements)
      return await orm.batch(statements)
    }
    const again = new Proxy(orm, {
      get: (target, key) => (key === 'batch' ? twice : Reflect.get(target, key)),
    })
    const db = { orm: again, now: queue.db.now }
    await schedule({ ...step, db }, { readStatuses, nextId, routes: node.routes })
    expect(await node.deliveries()).toMatchObject([{ subscription: 1 }, { subscription: 2 }])
    const deliveries = await node.deliveries()
    expect((await node.jobs()).map(({ id }) => id).toSorted()).toEqual(
      deliveries.map(({ job }) => job).toSorted(),
    )
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: 500 a tick, those that wait longest first', async () => {
    const subscriptions = Array.from({ length: 620 }, (_, index) =>
      subscriptionOf({ id: index + 1, activeAt: 2_000 - index }),
    )
    await store(subscriptions)
    expect(await scheduleAt(3_000, subscriptions)).toEqual({ begun: 500, left: true })
    expect((await node.rows()).filter(({ state }) => state === 'active').map(({ id }) => id)).toEqual(
      Array.from({ length: 120 }, (_, index) => index + 1),
    )
    expect(await scheduleAt(3_000, subscriptions)).toEqual({ begun: 120, left: false })
  })

  test('behavior: the fingerprint of a job is that of its input', async () => {
    await store([subscriptionOf({ id: 1 })])
    await scheduleAt(time, [subscriptionOf({ id: 1 })])
    expect(await queue.db.orm.all(sql`select fingerprint from jobs`)).toEqual([
      { fingerprint: sha256('0x01').slice(2) },
    ])
  })
})

describe('containers that fail', () => {
  const period = 100
  const frequency = 200
  const activeAt = 900
  const forEver = { activeAt, period, frequency }
  const end = async (state: 'failed' | 'expired' | 'success', code: string | null) =>
    await queue.db.orm.run(sql`
      update jobs set state = ${state}, error_code = ${code}, error_message = ${code}, finished_at = 1 where state = 'queued'`)
  /** Begins what is due in each interval from `from` to `to`. @returns the intervals that were begun. */
  async function run(
    subscription: Subscription,
    { from, to, how }: { from: number; to: number; how: () => Promise<unknown> },
  ): Promise<number[]> {
    for (let interval = from; interval <= to; interval += 1) {
      await scheduleAt(activeAt + (interval - 1) * period, [subscription])
      await how()
    }
    return (await node.deliveries()).map(({ interval }) => interval)
  }
  const failed = () => end('failed', 'container_error')

  test('behavior: intervals are left out, twice as many each time, up to a bound; an answer begins anew', async () => {
    const subscription = subscriptionOf({ id: 1, ...forEver })
    await store([subscription], activeAt)
    expect(await run(subscription, { from: 1, to: 110, how: failed })).toEqual([
      1, 2, 4, 7, 12, 21, 38, 71, 104,
    ])
    expect(await node.rows()).toMatchObject([
      {
        state: 'active',
        reason: 'containers_failing',
        message: 'Its containers failed in 9 intervals in a row: the next one begun is 137',
        due_at: activeAt + 136 * period,
        next_interval: 137,
      },
    ])
    await run(subscription, { from: 137, to: 137, how: () => end('success', null) })
    expect(await run(subscription, { from: 138, to: 141, how: failed })).toEqual([
      1, 2, 4, 7, 12, 21, 38, 71, 104, 137, 138, 139, 141,
    ])
  })

  test('behavior: of what was not computed at all, or is under way, none is left out', async () => {
    const subscription = subscriptionOf({ id: 1, ...forEver })
    await store([subscription], activeAt)
    await run(subscription, { from: 1, to: 4, how: () => end('expired', 'expired') })
    expect(await run(subscription, { from: 5, to: 9, how: async () => {} })).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9,
    ])
  })

  test('behavior: the last interval is always begun, and with intervals of days one at most is left out', async () => {
    const few = subscriptionOf({ id: 1, ...forEver, frequency: 9 })
    await store([few], activeAt)
    expect(await run(few, { from: 1, to: 9, how: failed })).toEqual([1, 2, 4, 7, 9])
    expect(await node.rows()).toMatchObject([{ state: 'ended', reason: 'begun' }])
    const terms = { period: 86_400, frequency: 100 }
    const resumed = [1, 2, 3, 9].map(failures => resumesAt({ failures, last: 50 }, terms))
    expect(resumed).toEqual([51, 52, 52, 52])
  })
})
