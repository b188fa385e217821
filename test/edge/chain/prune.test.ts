import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pruneChain } from '../../../src/edge/chain/prune.ts'
import { rewindSubscriptions } from '../../../src/edge/chain/rewind-subscriptions.ts'
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

const prune = (head = 1_000) =>
  pruneChain(queue.db, { chain: chainId, head, reorgDepth: 64, retentionMs, waitMs: 1e12 })
const nothing = { deliveries: 0, subscriptions: 0, transactions: 0, blocks: 0, isLeft: false }

async function begin(ids: readonly number[], time = 900): Promise<void> {
  const chain = chainOf(
    ids.map(id => subscriptionOf({ id })),
    time,
  )
  const step = node.step(blockAt(time))
  await sync(step, { cursor: await node.cursor(), ...chain, routes: node.routes })
  await schedule(step, { ...chain, routes: node.routes })
  // The journal has a test of its own.
  await queue.db.orm.run(sql`delete from chain_blocks`)
}

describe('pruning', () => {
  test('default: what ended goes with its deliveries after the retention, and no sooner', async () => {
    await begin([1, 2])
    queue.clock.ms += retentionMs - 1
    await queue.db.orm.run(sql`update deliveries set state = 'final' where subscription = 1`)
    await queue.db.orm.run(sql`update deliveries set state = 'delivered' where subscription = 2`)
    expect(await prune()).toEqual(nothing)
    queue.clock.ms += 1
    expect(await prune()).toEqual({ ...nothing, subscriptions: 1, deliveries: 1 })
    expect((await node.rows()).map(({ id }) => id)).toEqual([2])
    await queue.db.orm.run(
      sql`update deliveries set state = 'dropped', reason = 'expired', created_at = created_at + ${retentionMs} + 1`,
    )
    queue.clock.ms += retentionMs
    expect(await prune()).toEqual(nothing)
    queue.clock.ms += 1
    expect(await prune()).toEqual({ ...nothing, deliveries: 1 })
    // It is not looked at each time.
    queue.clock.ms += retentionMs - 1
    expect(await prune()).toEqual({ ...nothing, subscriptions: 1 })
    expect([await node.rows(), await node.deliveries()]).toEqual([[], []])
  })

  test('behavior: active and refused ones, those of other chains, and those above what is final stay', async () => {
    await begin([1])
    await queue.db.orm.batch([
      queue.db.orm.run(sql`update deliveries set state = 'final'`),
      queue.db.orm.run(sql`update subscriptions set state = 'active'`),
    ])
    queue.clock.ms += 10 * retentionMs
    expect(await prune(964)).toEqual(nothing)
    expect(await prune()).toEqual({ ...nothing, deliveries: 1 })
    expect(await prune()).toEqual(nothing)
    await begin([2])
    await queue.db.orm.run(sql`delete from subscriptions where id = 1`)
    await queue.db.orm.run(sql`update deliveries set state = 'final'`)
    queue.clock.ms += retentionMs
    expect(
      await pruneChain(queue.db, { chain: 1, head: 9e9, reorgDepth: 0, retentionMs, waitMs: 1e12 }),
    ).toEqual(nothing)
    expect(await prune()).toEqual({ ...nothing, subscriptions: 1, deliveries: 1 })
  })

  test('behavior: one that had many deliveries goes in parts', async () => {
    await begin([1])
    await queue.db.orm.run(sql`
      insert into deliveries (chain, subscription, interval, job, state, created_at)
      with recursive n (i) as (select 2 union all select i + 1 from n where i < 1199)
      select ${chainId}, 1, i, 'j' || i, 'final', 0 from n`)
    await queue.db.orm.batch([
      queue.db.orm.run(sql`update deliveries set state = 'final'`),
      queue.db.orm.run(sql`update subscriptions set next_interval = 1200`),
    ])
    queue.clock.ms += retentionMs
    expect(await prune()).toEqual({ ...nothing, deliveries: 500, isLeft: true })
    expect(await prune()).toEqual({ ...nothing, deliveries: 500, isLeft: true })
    expect(await prune()).toEqual({ ...nothing, deliveries: 199, subscriptions: 1 })
  })

  test('behavior: of one that never ends old answers go, and their intervals are not begun again', async () => {
    const endless = subscriptionOf({ id: 1, period: 100, frequency: 2 ** 32 - 1 })
    const tick = async (time: number) => {
      const chain = chainOf([endless], time)
      const step = node.step(blockAt(time))
      await sync(step, { cursor: await node.cursor(), ...chain, routes: node.routes })
      await queue.db.orm.run(sql`delete from chain_blocks`)
      return await schedule(step, { ...chain, routes: node.routes })
    }
    for (const time of [500, 600, 700]) expect(await tick(time)).toMatchObject({ begun: 1 })
    await queue.db.orm.run(sql`update deliveries set state = 'dropped', reason = 'expired'`)
    queue.clock.ms += retentionMs
    expect(await tick(800)).toMatchObject({ begun: 1 })
    expect(await prune()).toEqual({ ...nothing, deliveries: 3 })
    expect(await node.deliveries()).toMatchObject([{ interval: 9, state: 'computing' }])
    // However it comes to be looked at again.
    await queue.db.orm.run(sql`update deliveries set state = 'dropped', reason = 'expired', created_at = 0`)
    expect(await prune()).toEqual({ ...nothing, deliveries: 1 })
    const lost = sql`update subscriptions set next_interval = floor_interval, due_at = 0`
    await queue.db.orm.run(lost)
    expect(await tick(850)).toMatchObject({ begun: 0 })
    expect(await tick(900)).toMatchObject({ begun: 1 })
    expect(await node.deliveries()).toMatchObject([{ interval: 10, state: 'computing' }])
  })

  test('behavior: a rewind to one that could not be read at first does not pick up what is forgotten', async () => {
    const both = [1, 2].map(id => subscriptionOf({ id }))
    const tick = async (time: number, rest: Record<number, 'failed'> = {}) => {
      const chain = chainOf(both, time, rest)
      const step = node.step(blockAt(time))
      await sync(step, { cursor: await node.cursor(), ...chain, routes: node.routes })
      return await schedule(step, { ...chain, routes: node.routes })
    }
    expect(await tick(900, { 1: 'failed' })).toMatchObject({ begun: 1 })
    expect(await tick(910)).toMatchObject({ begun: 1 })
    await queue.db.orm.run(
      sql`update deliveries set state = 'dropped', reason = 'expired' where subscription = 2`,
    )
    queue.clock.ms += retentionMs
    expect(await prune(970)).toMatchObject({ deliveries: 1, subscriptions: 1 })
    await rewindSubscriptions(node.step(blockAt(970)), { from: 908 })
    expect(await tick(971)).toMatchObject({ begun: 0 })
    expect((await node.rows()).map(({ id }) => id)).toEqual([1])
  })

  test('behavior: transactions go after their answers, but for open ones and the last nonce of a signer', async () => {
    await begin([1, 2, 3, 4])
    const states = ['final', 'displaced', 'mined', 'sent', 'signed', 'final', 'final']
    for (const [nonce, state] of states.entries())
      await queue.db.orm.run(sql`
        insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, created_at, data)
        values (${`tx-${nonce}`}, ${chainId}, '0xaa', ${nonce}, ${state}, 'deliver', '0x', 1, ${queue.clock.ms}, '0x')`)
    // One answer was given up, and may be mined all the same.
    await queue.db.orm.run(sql`
      update deliveries set tx = 'tx-' || subscription, state = case subscription when 4 then 'dropped' when 3 then 'dropped'
        when 2 then 'delivered' else 'dropped' end`)
    expect(await prune()).toEqual(nothing)
    queue.clock.ms += retentionMs
    expect(await prune()).toEqual({ ...nothing, deliveries: 1, subscriptions: 1, transactions: 3 })
    const left = await queue.db.orm.all<{ nonce: number }>(sql`select nonce from transactions order by nonce`)
    expect(left.map(({ nonce }) => nonce)).toEqual([2, 3, 4, 6])
    expect((await node.deliveries()).map(({ subscription }) => subscription)).toEqual([2, 3, 4])
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
