import { sql } from 'drizzle-orm'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Status, Subscription } from '../../../src/edge/chain/chain.ts'
import { intervalAt } from '../../../src/edge/chain/interval.ts'
import { pruneChain } from '../../../src/edge/chain/prune.ts'
import { rewindSubscriptions } from '../../../src/edge/chain/rewind-subscriptions.ts'
import { schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { type Queue, startQueue } from '../../support/queue.ts'
import { blockAt, chainId, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

/**
 * Pick-up, schedule, rewinds and pruning in whatever order, over a real database and subscriptions that each branch of the chain has. However
 * little is kept, and whatever becomes of the answers, no interval is begun twice.
 */

/** A long run: `MODEL_RUNS=3000 npm test -- prune-model`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 40)
const reorgDepth = 4
const secondsPerBlock = 12

type Op =
  | { op: 'ask'; period: number; frequency: number }
  | { op: 'block'; blocks: number; unreadable: number | null }
  | { op: 'end'; state: 'final' | 'dropped'; many: number }
  | { op: 'rewind'; depth: number }
  | { op: 'others'; nth: number }
  | { op: 'prune' | 'repeat' }

const operations: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('ask' as const),
      period: fc.constantFrom(0, secondsPerBlock, 30 * secondsPerBlock),
      frequency: fc.constantFrom(1, 2, 2 ** 32 - 1),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('block' as const),
      blocks: fc.integer({ min: 1, max: 3 }),
      unreadable: fc.option(fc.nat({ max: 5 }), { nil: null }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('end' as const),
      state: fc.constantFrom('final', 'dropped'),
      many: fc.constantFrom(1, 9),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('rewind' as const),
      depth: fc.integer({ min: 1, max: reorgDepth }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('others' as const), nth: fc.nat({ max: 5 }) }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom('prune', 'repeat') }) },
)

let queue: Queue
let node: TestNode

beforeAll(async () => {
  queue = await startQueue()
  node = await createNode(queue)
})
afterAll(async () => await queue.close())

type World = {
  height: number
  fork: number
  subscriptions: Subscription[]
  /** Intervals that were begun, as 'subscription/interval', once for each job. */
  begun: string[]
  /** Those that the chain has an answer of ours for, for good. */
  answered: Set<string>
  /** Those that others have answered, and in which block. */
  fulfilled: Map<string, number>
}

async function apply(world: World, op: Op): Promise<void> {
  queue.clock.ms += 1_000
  const time = world.height * secondsPerBlock
  if (op.op === 'ask')
    world.subscriptions.push(
      subscriptionOf({ id: world.subscriptions.length + 1, activeAt: time, ...op, redundancy: 9 }),
    )
  else if (op.op === 'block') {
    world.height += op.blocks
    await tick(world, op.unreadable)
  } else if (op.op === 'end') await end(world, op)
  else if (op.op === 'rewind') {
    world.fork += 1
    const from = world.height - op.depth
    for (const [key, height] of world.fulfilled) if (height > from) world.fulfilled.delete(key)
    world.height += 1
    await rewindSubscriptions(node.step(blockOf(world)), { from })
  } else if (op.op === 'others') {
    const subscription = world.subscriptions.at(-1 - op.nth)
    const next = time + secondsPerBlock
    if (subscription)
      world.fulfilled.set(`${subscription.id}/${intervalAt(subscription, next)}`, world.height + 1)
  } else if (op.op === 'prune')
    await pruneChain(queue.db, {
      chain: chainId,
      head: world.height,
      reorgDepth,
      retentionMs: 500,
      waitMs: 1e12,
    })
  // What a node that begins anew reads of what is due.
  else await queue.db.orm.run(sql`update subscriptions set due_at = 1 where state = 'active'`)
}

const blockOf = ({ height, fork }: World) => blockAt(height * secondsPerBlock, { number: height, fork })

async function tick(world: World, unreadable: number | null): Promise<void> {
  const block = blockOf(world)
  const rest: Record<number, Partial<Status> | 'failed'> = {}
  for (const subscription of world.subscriptions) {
    const { id } = subscription
    const key = `${id}/${intervalAt(subscription, block.time)}`
    const responded = world.answered.has(key)
    rest[id] =
      unreadable !== null && id === world.subscriptions.length - unreadable
        ? 'failed'
        : { responded, count: world.fulfilled.has(key) ? 9 : responded ? 1 : 0 }
  }
  const chain = chainOf(world.subscriptions, block.time, rest)
  const step = node.step(block)
  const { statuses: known } = await sync(step, {
    cursor: await node.cursor(),
    ...chain,
    routes: node.routes,
  })
  await schedule(step, { ...chain, routes: node.routes, known })
  const jobs = await queue.db.orm.all<{ key: string }>(sql`
    select subscription || '/' || interval as key from deliveries where state = 'computing'`)
  world.begun.push(...jobs.map(({ key }) => key))
  await queue.db.orm.run(sql`update deliveries set state = 'computed' where state = 'computing'`)
}

/** Something becomes of the oldest answers: they are final, or given up. */
async function end(world: World, { state, many }: Extract<Op, { op: 'end' }>): Promise<void> {
  const rows = await queue.db.orm.all<{ key: string }>(sql`
    update deliveries set state = ${state} where job in (
      select job from deliveries where state = 'computed' and interval > 0 order by created_at, subscription limit ${many})
    returning subscription || '/' || interval as key`)
  if (state === 'final') for (const { key } of rows) world.answered.add(key)
}

test('behavior: whenever it is pruned, and whatever is rewound, an interval is begun once', async () => {
  let pruned = 0
  const property = fc.asyncProperty(
    fc.array(operations, { minLength: 30, maxLength: 60, size: 'max' }),
    async script => {
      await node.clear()
      const world: World = {
        height: 10,
        fork: 0,
        subscriptions: [],
        begun: [],
        answered: new Set(),
        fulfilled: new Map(),
      }
      for (const op of script) await apply(world, op)
      const left = await queue.db.orm.all(sql`select job from deliveries`)
      pruned += world.begun.length - left.length
      expect(world.begun.toSorted()).toEqual([...new Set(world.begun)].toSorted())
    },
  )
  await fc.assert(property, { numRuns, endOnFailure: false })
  expect(pruned).toBeGreaterThan(numRuns / 2)
}, 600_000)
