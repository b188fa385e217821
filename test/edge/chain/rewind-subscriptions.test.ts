import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Status, Subscription } from '../../../src/edge/chain/chain.ts'
import { rewindSubscriptions } from '../../../src/edge/chain/rewind-subscriptions.ts'
import { schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { miscounts, type Queue, result, startQueue } from '../../support/queue.ts'
import { blockAt, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

let queue: Queue
let node: TestNode

beforeAll(async () => {
  queue = await startQueue()
  node = await createNode(queue)
})
afterAll(async () => await queue.close())
beforeEach(async () => await node.clear())

type Rest = Record<number, Partial<Status>>

/** One tick: picks up what is new, and begins what is due. */
async function tick(
  time: number,
  subscriptions: readonly Subscription[],
  { fork = 0, rest = {} as Rest } = {},
) {
  const step = node.step(blockAt(time, { fork }))
  const chain = chainOf(subscriptions, time, rest)
  const { statuses: known } = await sync(step, { cursor: await node.cursor(), ...chain, routes: node.routes })
  return await schedule(step, { ...chain, routes: node.routes, known })
}

const rewind = (from: number) => rewindSubscriptions(node.step(blockAt(from)), { from })
const [first, second, third] = [1, 2, 3].map(id => subscriptionOf({ id })) as [
  Subscription,
  Subscription,
  Subscription,
]
const otherOwner = '0x00000000000000000000000000000000000000ee'

describe('rewind', () => {
  test('default: what is still there keeps its row, its delivery and its job', async () => {
    await tick(1_000, [first])
    await tick(1_010, [first, second, third])
    const [jobs, deliveries] = [await node.jobs(), await node.deliveries()]
    expect(await rewind(1_005)).toBe(true)
    expect(await node.cursor()).toMatchObject({ nextId: 2, version: 3 })
    // Mined again in another block, at another time.
    const again = [second, third].map(subscription => ({ ...subscription, activeAt: 3 }))
    expect(await tick(1_012, [first, ...again], { fork: 1 })).toMatchObject({ begun: 0 })
    expect(await node.jobs()).toEqual(jobs)
    expect(await node.deliveries()).toEqual(deliveries)
    expect((await node.rows()).map(({ state, seen_block, reason }) => [state, seen_block, reason])).toEqual([
      ['ended', 1_000, 'begun'],
      ['ended', 1_012, 'begun'],
      ['ended', 1_012, 'begun'],
    ])
    expect(await node.cursor()).toMatchObject({ nextId: 4, version: 4 })
  })

  test('behavior: nothing was seen above the block: nothing is rewound', async () => {
    await tick(1_000, [first])
    expect(await rewind(1_000)).toBe(false)
    expect(await node.cursor()).toMatchObject({ nextId: 2, version: 1 })
  })

  test('behavior: what is gone ends, its job is cancelled, and its runner told', async () => {
    await tick(1_000, [first, second])
    const host = await queue.host()
    const [lease] = await queue.claim(host, { max: 1 })
    const ticket = await node.bells('control').ticket()
    await rewind(999)
    expect(await tick(1_001, [], { fork: 1 })).toEqual({ begun: 0, left: false })
    expect((await node.rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ['ended', 'vanished'],
      ['ended', 'vanished'],
    ])
    expect((await node.jobs()).map(({ state, data }) => [state, data])).toEqual([
      ['cancelled', null],
      ['cancelled', null],
    ])
    const deliveries = await node.deliveries()
    expect(deliveries.map(({ state, reason }) => [state, reason])).toEqual([
      ['dropped', 'vanished'],
      ['dropped', 'vanished'],
    ])
    expect(deliveries.every(({ interval }) => interval < 0)).toBe(true)
    const heard = await node.bells('control').wait({ ticket, key: 'test', waitMs: 10_000 })
    expect(heard.rung).toEqual([host.instance])
    expect(await queue.finish(host, result(lease!))).toEqual(['stale'])
    expect(await miscounts(queue.db)).toEqual([])
    // It comes again after all, and is answered.
    expect(await tick(1_005, [first], { fork: 1 })).toMatchObject({ begun: 1 })
    expect(await node.rows()).toMatchObject([{ state: 'ended', reason: 'begun', seen_block: 1_005 }, {}])
    expect((await node.deliveries()).filter(({ state }) => state === 'computing')).toMatchObject([
      { subscription: 1, interval: 1 },
    ])
  })

  const others: [string, Partial<Subscription>, Partial<Status>][] = [
    ['of another owner', { owner: otherOwner }, {}],
    ['with another input', {}, { input: '0x02' }],
    ['of another price', { paymentAmount: 1n }, { wallet: { funds: 1n, allowance: 1n, prepayment: 0n } }],
  ]
  test.for(others)('behavior: one %s starts anew', async ([, terms, status]) => {
    await tick(1_000, [first])
    const [before] = await node.jobs()
    await rewind(999)
    const other = { ...first, ...terms }
    const ticked = await tick(1_001, [other], { fork: 1, rest: { 1: status } })
    expect(ticked).toEqual({ begun: 1, left: false })
    const [row] = await node.rows()
    expect(row).toMatchObject({ owner: other.owner, state: 'ended', reason: 'begun', seen_block: 1_001 })
    const jobs = await node.jobs()
    expect(jobs.map(({ id, state }) => [id === before!.id, state]).toSorted()).toEqual([
      [false, 'queued'],
      [true, 'cancelled'],
    ])
    expect(await node.deliveries()).toMatchObject([
      { interval: expect.any(Number), job: before!.id, state: 'dropped', reason: 'vanished' },
      { interval: 1, state: 'computing' },
    ])
    // And back.
    await rewind(999)
    expect(await tick(1_002, [first], { fork: 2 })).toMatchObject({ begun: 1 })
    expect(await node.deliveries()).toHaveLength(3)
  })

  test('behavior: an answer that is there is not delivered to another', async () => {
    await tick(1_000, [first])
    const host = await queue.host()
    const [lease] = await queue.claim(host)
    await queue.finish(host, result(lease!))
    await queue.db.orm.run(sql`update deliveries set state = 'sending', tx = 'x', call = '0x'`)
    await rewind(999)
    await tick(1_001, [{ ...first, owner: otherOwner }], { fork: 1 })
    const tx = await queue.db.orm.all(sql`select tx, state, reason from deliveries order by interval`)
    expect(tx).toEqual([
      { tx: 'x', state: 'dropped', reason: 'vanished' },
      { tx: null, state: 'computing', reason: null },
    ])
    expect(await queue.read(lease!.id)).toMatchObject({ state: 'success' })
  })

  test('behavior: refused and ended ones are judged as what they are now', async () => {
    const refused = subscriptionOf({ id: 1, containerId: `0x${'11'.repeat(32)}` })
    const over = subscriptionOf({ id: 2, frequency: 0 })
    await tick(1_000, [refused, over])
    await rewind(999)
    expect(await tick(1_001, [first, over], { fork: 1 })).toMatchObject({ begun: 1 })
    expect((await node.rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ['ended', 'begun'],
      ['ended', 'completed'],
    ])
    await rewind(999)
    await tick(1_002, [refused, over], { fork: 2 })
    expect((await node.rows()).map(({ state, reason }) => [state, reason])).toEqual([
      ['refused', 'unsupported_containers'],
      ['ended', 'completed'],
    ])
  })

  const recurring = subscriptionOf({ id: 1, period: 10, frequency: 2 ** 32 - 1, activeAt: 1_000 })

  test('behavior: what was decided of one that was there before is decided again, and nothing else', async () => {
    await tick(1_000, [recurring])
    await tick(1_010, [recurring], { rest: { 1: { count: 1 } } })
    expect(await node.rows()).toMatchObject([{ state: 'active', next_interval: 3, due_at: 1_020 }])
    await rewind(1_010)
    expect(await node.rows()).toMatchObject([{ next_interval: 3, due_at: 1_020 }])
    await rewind(1_009)
    expect(await node.cursor()).toMatchObject({ nextId: 2 })
    expect(await tick(1_011, [recurring], { fork: 1 })).toMatchObject({ begun: 1 })
    expect((await node.deliveries()).map(({ interval }) => interval)).toEqual([1, 2])
  })

  test('behavior: an interval that was waited for by a block that is undone is not missed before it has begun', async () => {
    const silent = { rest: { 1: { input: null } } }
    await tick(1_000, [recurring], silent)
    expect(await node.rows()).toMatchObject([{ next_interval: 1, reason: 'no_input' }])
    await tick(1_010, [recurring], silent)
    expect(await node.rows()).toMatchObject([{ next_interval: 2, reason: 'no_input' }])
    await rewind(1_009)
    // Blocks are a little earlier on the new branch.
    expect(await tick(1_009, [recurring], { fork: 1 })).toMatchObject({ begun: 1 })
    expect(await node.deliveries()).toMatchObject([{ interval: 1, state: 'computing' }])
  })

  test('behavior: an input that is another by now is no other request, of one that was there before', async () => {
    await tick(1_000, [recurring])
    await tick(1_010, [recurring])
    // Its policy refuses it in the same block, and that is decided again.
    await queue.db.orm.run(
      sql`update subscriptions set state = 'refused', due_at = null, decided_block = 1010`,
    )
    await rewind(1_009)
    expect(await tick(1_011, [recurring], { fork: 1, rest: { 1: { input: '0x02' } } })).toMatchObject({
      begun: 0,
    })
    expect(await node.deliveries()).toMatchObject([
      { interval: 1, state: 'computing' },
      { interval: 2, state: 'computing' },
    ])
    expect(await node.rows()).toMatchObject([{ state: 'active', next_interval: 3 }])
  })

  test('behavior: what is forgotten is not begun again', async () => {
    await tick(1_000, [recurring])
    await queue.db.orm.run(sql`delete from deliveries`)
    await queue.db.orm.run(
      sql`update subscriptions set floor_interval = 2, state = 'ended', decided_block = 1005`,
    )
    await rewind(1_004)
    expect(await tick(1_006, [recurring], { fork: 1 })).toMatchObject({ begun: 0 })
    expect(await tick(1_010, [recurring], { fork: 1 })).toMatchObject({ begun: 1 })
  })

  test('behavior: two that rewind, and a sync that began before, agree in the end', async () => {
    await tick(1_000, [first, second])
    const stale = await node.cursor()
    await Promise.all([rewind(999), rewind(999)])
    const chain = chainOf([first, second, third], 1_001)
    const late = await sync(node.step(blockAt(1_001)), { cursor: stale, ...chain, routes: node.routes })
    expect(late.cursor).toBeNull()
    expect(await tick(1_002, [first, second, third], { fork: 1 })).toMatchObject({ begun: 1 })
    expect(await node.deliveries()).toHaveLength(3)
    expect((await node.rows()).map(({ state }) => state)).toEqual(['ended', 'ended', 'ended'])
  })
})
