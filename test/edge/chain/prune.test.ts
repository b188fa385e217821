import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pruneChain } from '../../../src/edge/chain/prune.ts'
import { schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { sweep } from '../../../src/edge/jobs/sweep.ts'
import { type Queue, result, startQueue } from '../../support/queue.ts'
import { blockAt, chainId, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

const retentionMs = 1_000

let queue: Queue
let node: TestNode

beforeAll(async () => {
  queue = await startQueue()
  node = await createNode(queue)
})
afterAll(async () => await queue.close())
beforeEach(async () => {
  await node.clear()
  queue.clock.ms = 1_800_000_000_000
})

const prune = (head = 1_000) => pruneChain(queue.db, { chain: chainId, head, reorgDepth: 64, retentionMs })
const nothing = { subscriptions: 0, deliveries: 0, blocks: 0 }

async function begin(ids: readonly number[], time = 1_000): Promise<void> {
  const chain = chainOf(
    ids.map(id => subscriptionOf({ id })),
    time,
  )
  const step = node.step(blockAt(time))
  await sync(step, { cursor: await node.cursor(), ...chain, routes: node.routes })
  await schedule(step, { ...chain, routes: node.routes })
}

describe('pruning', () => {
  test('default: what ended goes with its deliveries after the retention, and no sooner', async () => {
    await begin([1, 2])
    queue.clock.ms += retentionMs
    expect(await prune()).toEqual(nothing)
    await queue.db.orm.run(sql`update deliveries set state = 'final' where subscription = 1`)
    await queue.db.orm.run(sql`update deliveries set state = 'delivered' where subscription = 2`)
    expect(await prune()).toEqual({ ...nothing, subscriptions: 1, deliveries: 1 })
    expect((await node.rows()).map(({ id }) => id)).toEqual([2])
    await queue.db.orm.run(sql`update deliveries set state = 'dropped', created_at = created_at + 1`)
    expect(await prune()).toEqual(nothing)
    queue.clock.ms += 1
    expect(await prune()).toEqual({ ...nothing, subscriptions: 1, deliveries: 1 })
    expect([await node.rows(), await node.deliveries()]).toEqual([[], []])
  })

  test('behavior: active and refused ones, and those of other chains, stay', async () => {
    await begin([1])
    await queue.db.orm.batch([
      queue.db.orm.run(sql`update deliveries set state = 'final'`),
      queue.db.orm.run(sql`update subscriptions set state = 'active'`),
    ])
    queue.clock.ms += 10 * retentionMs
    expect(await prune()).toEqual(nothing)
    await queue.db.orm.run(sql`update subscriptions set state = 'ended'`)
    expect(await pruneChain(queue.db, { chain: 1, head: 9e9, reorgDepth: 0, retentionMs })).toEqual(nothing)
    expect(await prune()).toEqual({ ...nothing, subscriptions: 1, deliveries: 1 })
  })

  test('behavior: one that had many deliveries goes in parts', async () => {
    await begin([1])
    await queue.db.orm.run(sql`
      insert into deliveries (chain, subscription, interval, job, state, created_at)
      with recursive n (i) as (select 2 union all select i + 1 from n where i < 1200)
      select ${chainId}, 1, i, 'j' || i, 'final', 0 from n`)
    await queue.db.orm.run(sql`update deliveries set state = 'final'`)
    queue.clock.ms += retentionMs
    expect(await prune()).toEqual({ ...nothing, deliveries: 500 })
    expect(await prune()).toEqual({ ...nothing, deliveries: 500 })
    expect(await prune()).toEqual({ ...nothing, deliveries: 200, subscriptions: 1 })
  })

  test('behavior: the journal goes below the depth that a reorganisation may reach', async () => {
    for (const number of [935, 936, 1_000])
      await queue.db.orm.run(
        sql`insert into chain_blocks (chain, number, hash) values (${chainId}, ${number}, '0x')`,
      )
    expect(await prune(1_000)).toEqual({ ...nothing, blocks: 1 })
    expect(await queue.db.orm.all(sql`select number from chain_blocks`)).toEqual([
      { number: 936 },
      { number: 1_000 },
    ])
  })

  test('behavior: a job whose answer nothing but its row has stays, however old', async () => {
    await begin([1])
    const host = await queue.host()
    const [lease] = await queue.claim(host)
    await queue.finish(host, result(lease!))
    queue.clock.ms += 10 * retentionMs
    const swept = () => sweep(queue.db, { maxTries: 3, retentionMs })
    expect((await swept()).pruned).toBe(0)
    await queue.db.orm.run(sql`update deliveries set call = '0x'`)
    expect((await swept()).pruned).toBe(1)
    expect(await node.deliveries()).toMatchObject([{ state: 'computed' }])
  })
})
