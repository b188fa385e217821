import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Subscription } from '../../../src/edge/chain/chain.ts'
import { judge } from '../../../src/edge/chain/judge.ts'
import { schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'
import { type Queue, startQueue } from '../../support/queue.ts'
import { policyOf } from '../../support/runner.ts'
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

async function store(subscriptions: readonly Subscription[]): Promise<void> {
  const chain = chainOf(subscriptions, 1_000)
  let cursor = await node.cursor()
  while (cursor.nextId < chain.nextId) {
    await sync(node.step(blockAt(1_000)), { cursor, ...chain, routes: node.routes })
    cursor = await node.cursor()
  }
  node.lines.length = 0
}

async function judgeAt(time: number) {
  // The snapshot that was taken before is too old by then.
  queue.clock.ms += 6_000
  const { judgedEpoch } = await node.cursor()
  return await judge(node.step(blockAt(time)), { judgedEpoch, routes: node.routes })
}

const wanted = (id: number, containers = 'c') =>
  subscriptionOf({ id, containerId: containerIdOf(containers) })

describe('judging again', () => {
  test('default: what a new policy admits is due at once, and answered', async () => {
    const later = { ...wanted(3), activeAt: 2_000 }
    const subscriptions = [wanted(1), wanted(2, 'c,x'), later]
    await store(subscriptions)
    await judgeAt(1_000)
    expect((await node.rows()).map(({ state }) => state)).toEqual(['refused', 'refused', 'refused'])
    await node.offer(policyOf('a'), policyOf('c'))
    expect(await judgeAt(1_005)).toEqual({ admitted: 2, left: false })
    expect((await node.rows()).map(({ state, due_at, route }) => [state, due_at, route])).toEqual([
      ['active', 1_005, 'c'],
      ['refused', null, null],
      ['active', 2_000, 'c'],
    ])
    const { epoch } = await node.step(blockAt(1)).policy.read()
    expect((await node.cursor()).judgedEpoch).toBe(epoch)
    expect((await node.rows())[1]?.epoch).toBe(epoch)
    expect(node.events()).toEqual(Array(2).fill('Tracked new subscription!'))
    const chain = chainOf(subscriptions, 1_005)
    expect(await schedule(node.step(blockAt(1_005)), { ...chain, routes: node.routes })).toEqual({
      begun: 1,
      left: false,
    })
  })

  test('behavior: without a new policy nothing is read of subscriptions', async () => {
    await store([wanted(1)])
    await judgeAt(1_000)
    queue.proxy.takeStatements()
    const { judgedEpoch } = await node.cursor()
    expect(await judge(node.step(blockAt(1_005)), { judgedEpoch, routes: node.routes })).toEqual({
      admitted: 0,
      left: false,
    })
    expect(queue.proxy.takeStatements().filter(({ sql }) => /subscriptions/.test(sql))).toEqual([])
  })

  test('behavior: so many at once, and the policy counts as judged by only after the last', async () => {
    await store(Array.from({ length: 1_200 }, (_, index) => wanted(index + 1)))
    const { judgedEpoch } = await node.cursor()
    await node.offer(policyOf('c'))
    expect(await judgeAt(1_005)).toEqual({ admitted: 500, left: true })
    expect((await node.cursor()).judgedEpoch).toBe(judgedEpoch)
    expect(await judgeAt(1_005)).toEqual({ admitted: 500, left: true })
    expect(await judgeAt(1_005)).toEqual({ admitted: 200, left: false })
    expect((await node.cursor()).judgedEpoch).toBeGreaterThan(judgedEpoch)
    expect((await node.rows()).every(({ state }) => state === 'active')).toBe(true)
  })

  test('behavior: one that is over by then has ended', async () => {
    await store([{ ...wanted(1), activeAt: 900, period: 100, frequency: 2 }])
    await node.offer(policyOf('c'))
    expect(await judgeAt(1_100)).toEqual({ admitted: 0, left: false })
    expect(await node.rows()).toMatchObject([{ state: 'ended', reason: 'expired' }])
  })

  test('behavior: two at once: what the one has judged, the other leaves as it is', async () => {
    await store([wanted(1)])
    await node.offer(policyOf('c'))
    const sides = await Promise.all([judgeAt(1_005), judgeAt(1_005)])
    expect(sides.map(({ admitted }) => admitted).toSorted()).toEqual([0, 1])
    await queue.db.orm.run(sql`update subscriptions set next_interval = 5`)
    expect(await judgeAt(1_005)).toEqual({ admitted: 0, left: false })
  })
})
