import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cancelledAt } from '../../../src/edge/chain/interval.ts'
import { RpcUnavailable } from '../../../src/edge/chain/rpc.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'
import { type Queue, startQueue } from '../../support/queue.ts'
import { policyOf } from '../../support/runner.ts'
import { blockAt, chainId, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

const time = 1_000
const block = blockAt(time)

let queue: Queue
let node: TestNode

beforeAll(async () => {
  queue = await startQueue()
  node = await createNode(queue)
})
afterAll(async () => await queue.close())
beforeEach(async () => await node.clear())

const active = { state: 'active', reason: null, message: null, params: null, tries: 0, seen_block: time }

describe('sync', () => {
  test('default: each new subscription is stored as what it is', async () => {
    const chain = chainOf(
      [
        subscriptionOf({ id: 1 }),
        subscriptionOf({ id: 2, activeAt: 1_100, period: 100, frequency: 3 }),
        subscriptionOf({
          id: 3,
          activeAt: 800,
          period: 100,
          frequency: 5,
          containerId: containerIdOf('a,b'),
        }),
        subscriptionOf({ id: 4, containerId: containerIdOf('c') }),
        subscriptionOf({ id: 5, activeAt: cancelledAt }),
        subscriptionOf({ id: 6 }),
        subscriptionOf({ id: 7, committed: true }),
      ],
      time,
      { 6: { count: 1 } },
    )
    const cursor = await node.cursor()
    const synced = await sync(node.step(block), { cursor, ...chain, routes: node.routes })
    expect(synced.cursor).toEqual({ version: 1, nextId: 8 })
    expect([...synced.statuses.keys()]).toEqual([1, 3])
    const snapshot = await node.step(block).policy.read()
    const { epoch } = snapshot
    expect((await node.rows()).map(({ owner: _, epoch: at, ...row }) => ({ ...row, at }))).toEqual([
      { ...active, id: 1, due_at: 1_000, next_interval: 1, route: 'a', at: epoch },
      { ...active, id: 2, due_at: 1_100, next_interval: 1, route: 'a', at: epoch },
      { ...active, id: 3, due_at: 1_000, next_interval: 3, route: 'a,b', at: epoch },
      {
        ...active,
        id: 4,
        state: 'refused',
        due_at: null,
        next_interval: 1,
        route: null,
        reason: 'unsupported_containers',
        message: 'Container-set not supported',
        params: JSON.stringify({ containers_hash: containerIdOf('c') }),
        at: epoch,
      },
      ...[
        [5, 'cancelled'],
        [6, 'completed'],
      ].map(([id, reason]) => ({
        ...active,
        id,
        state: 'ended',
        due_at: null,
        next_interval: 1,
        route: null,
        reason,
        message: 'Subscription completed',
        at: epoch,
      })),
      {
        ...active,
        id: 7,
        state: 'refused',
        due_at: null,
        next_interval: 1,
        route: 'a',
        reason: 'unsupported_commitments',
        message: 'Commitments not supported',
        params: '{}',
        at: epoch,
      },
    ])
    expect(node.events()).toEqual([
      'Checked for new subscriptions',
      ...Array(3).fill('Tracked new subscription!'),
      ...Array(4).fill('Ignored subscription creation'),
      'Finished snapshot sync',
    ])
    expect(await queue.db.orm.all(sql`select * from chains`)).toEqual([
      {
        id: chainId,
        coordinator: '0x0000000000000000000000000000000000000000',
        stakings: 0,
        version: 1,
        next_id: 8,
        head_number: time,
        head_hash: block.hash,
        judged_epoch: 0,
        judged_config: null,
      },
    ])
    expect(await queue.db.orm.all(sql`select * from chain_blocks`)).toEqual([
      { chain: chainId, number: time, hash: block.hash },
    ])
  })

  test('behavior: nothing new: nothing is read or written', async () => {
    const chain = chainOf([], time)
    const cursor = await node.cursor()
    queue.proxy.takeStatements()
    const synced = await sync(node.step(block), { cursor, ...chain, routes: node.routes })
    expect(synced).toEqual({ cursor, statuses: new Map() })
    expect([chain.asked, queue.proxy.takeStatements()]).toEqual([[], []])
  })

  test('behavior: somebody else has moved the cursor: nothing is written', async () => {
    const chain = chainOf([subscriptionOf({ id: 1 })], time)
    const cursor = await node.cursor()
    const sides = await Promise.all(
      [1, 2, 3].map(() => sync(node.step(block), { cursor, ...chain, routes: node.routes })),
    )
    expect(sides.filter(side => side.cursor !== null)).toHaveLength(1)
    expect(await node.cursor()).toMatchObject({ version: 1, nextId: 2 })
    const more = chainOf(
      [1, 2].map(id => subscriptionOf({ id })),
      time,
    )
    expect(await sync(node.step(block), { cursor, ...more, routes: node.routes })).toMatchObject({
      cursor: null,
    })
    expect(await node.rows()).toHaveLength(1)
  })

  test('behavior: so many a tick, a page at a time; the next tick goes on', async () => {
    const chain = chainOf(
      Array.from({ length: 2_100 }, (_, index) => subscriptionOf({ id: index + 1 })),
      time,
    )
    const step = node.step(block, { config: { batchSize: 300 } })
    const first = await sync(step, { cursor: await node.cursor(), ...chain, routes: node.routes })
    expect(first.cursor).toEqual({ version: 1, nextId: 2_001 })
    expect(chain.asked.map(ids => ids.length)).toEqual([...Array(6).fill(300), 200])
    const second = await sync(step, { cursor: first.cursor!, ...chain, routes: node.routes })
    expect(second.cursor).toEqual({ version: 2, nextId: 2_101 })
    expect(await node.rows()).toHaveLength(2_100)
    expect(node.events().filter(event => event === 'Finished snapshot sync')).toHaveLength(1)
    await node.clear()
    const narrow = node.step(block, { config: { batchSize: 1 } })
    const paged = await sync(narrow, { cursor: await node.cursor(), ...chain, routes: node.routes })
    expect(paged.cursor?.nextId).toBe(21)
  })

  test('behavior: what the block does not have yet ends the range', async () => {
    const chain = chainOf(
      [1, 2, 4].map(id => subscriptionOf({ id })),
      time,
    )
    const synced = await sync(node.step(block), {
      cursor: await node.cursor(),
      ...chain,
      routes: node.routes,
    })
    expect(synced.cursor?.nextId).toBe(3)
    expect((await node.rows()).map(({ id }) => id)).toEqual([1, 2])
    expect(node.events()).not.toContain('Finished snapshot sync')
  })

  test('behavior: one that cannot be read stops no other, and is tried again', async () => {
    const chain = chainOf(
      [1, 2, 3].map(id => subscriptionOf({ id })),
      time,
      { 2: 'failed' },
    )
    const synced = await sync(node.step(block), {
      cursor: await node.cursor(),
      ...chain,
      routes: node.routes,
    })
    expect(synced.cursor?.nextId).toBe(4)
    expect((await node.rows()).map(({ state, due_at, reason }) => [state, due_at, reason])).toEqual([
      ['active', time, null],
      ['active', time, 'unreadable'],
      ['active', time, null],
    ])
  })

  test('behavior: no endpoint answers: nothing is written', async () => {
    const readStatuses = async () => {
      throw new RpcUnavailable('All are down')
    }
    const cursor = await node.cursor()
    await expect(
      sync(node.step(block), { cursor, nextId: 3, readStatuses, routes: node.routes }),
    ).rejects.toThrow(RpcUnavailable)
    expect(await node.rows()).toEqual([])
    expect((await node.cursor()).version).toBe(0)
  })

  test('behavior: long inputs are not all kept', async () => {
    const input = `0x${'00'.repeat(65_440)}` as const
    const ids = Array.from({ length: 100 }, (_, index) => index + 1)
    const chain = chainOf(
      ids.map(id => subscriptionOf({ id })),
      time,
      Object.fromEntries(ids.map(id => [id, { input }])),
    )
    const synced = await sync(node.step(block), {
      cursor: await node.cursor(),
      ...chain,
      routes: node.routes,
    })
    expect(synced.statuses.size).toBe(64)
    expect(await node.rows()).toHaveLength(100)
  })

  test('behavior: refused by a policy that all others were judged after: to be judged again', async () => {
    await queue.db.orm.run(sql`update chains set judged_epoch = 1000000`)
    const chain = chainOf([subscriptionOf({ id: 1 })], time)
    await sync(node.step(block), { cursor: await node.cursor(), ...chain, routes: node.routes })
    expect((await node.cursor()).judgedEpoch).toBe(1_000_000)
    await node.offer(policyOf('a', { allowed_addresses: ['0x00'] }))
    const more = chainOf(
      [1, 2].map(id => subscriptionOf({ id })),
      time,
    )
    await sync(node.step(block), { cursor: await node.cursor(), ...more, routes: node.routes })
    const [, refused] = await node.rows()
    expect(refused).toMatchObject({ state: 'refused', reason: 'not_allowed' })
    expect((await node.cursor()).judgedEpoch).toBe(refused?.epoch)
  })
})
