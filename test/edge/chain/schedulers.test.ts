import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { intervalAt } from '../../../src/edge/chain/interval.ts'
import type { ReadStatuses } from '../../../src/edge/chain/reading.ts'
import { schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { miscounts, type Queue, startQueue } from '../../support/queue.ts'
import { blockAt, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

/**
 * Two nodes with one database, or a tick that overtakes another: they read the chain in any order, in blocks of their own, and find the
 * queue full at times. Whatever they do, each interval that was open gets one job.
 */
let queue: Queue
let node: TestNode

beforeAll(async () => {
  queue = await startQueue()
  node = await createNode(queue)
})
afterAll(async () => await queue.close())

const start = 1_000
const Asked = fc.record({
  activeAt: fc.integer({ min: start - 30, max: start + 10 }),
  period: fc.constantFrom(0, 0, 7, 20),
  frequency: fc.integer({ min: 1, max: 4 }),
})
const Ticks = fc.array(
  fc.record({ after: fc.integer({ min: 0, max: 15 }), room: fc.constantFrom(1, 2, 1e6) }),
  { minLength: 1, maxLength: 4 },
)

test('behavior: one job for each interval, in whatever order two schedulers read and write', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(Asked, { minLength: 1, maxLength: 6 }),
      fc.tuple(Ticks, Ticks),
      fc.scheduler(),
      async (asked, sides, order) => {
        await node.clear()
        const subscriptions = asked.map((terms, index) => subscriptionOf({ id: index + 1, ...terms }))
        const begun = chainOf(subscriptions, start)
        const cursor = await node.cursor()
        await sync(node.step(blockAt(start)), { cursor, ...begun, routes: node.routes })

        const scheduleAt = async (
          time: number,
          { room, read }: { room: number; read: (inner: ReadStatuses) => ReadStatuses },
        ) => {
          const step = node.step(blockAt(time), {
            bounds: { maxQueuedPerOwner: room },
            config: { batchSize: 2 },
          })
          const chain = chainOf(subscriptions, time)
          const { nextId } = chain
          return await schedule(step, {
            readStatuses: read(chain.readStatuses),
            routes: node.routes,
            nextId,
          })
        }
        const runSide = async (ticks: (typeof sides)[number]) => {
          let time = start
          for (const { after, room } of ticks) {
            time += after
            await scheduleAt(time, { room, read: inner => order.scheduleFunction(inner) })
          }
          return time
        }
        const times = await order.waitFor(Promise.all(sides.map(runSide)))
        // Then there is room, and one of them goes on to the end of all times.
        const ends = Math.max(...times)
        const open: { subscription: number; interval: number }[] = subscriptions.flatMap(subscription => {
          const interval = intervalAt(subscription, ends)
          return interval > 0 ? [{ subscription: subscription.id, interval }] : []
        })
        while ((await scheduleAt(ends, { room: 1e6, read: inner => inner })).left);

        const deliveries = await node.deliveries()
        expect(deliveries).toEqual(expect.arrayContaining(open.map(place => expect.objectContaining(place))))
        expect(deliveries.map(({ job }) => job).toSorted()).toEqual(
          (await node.jobs()).map(({ id }) => id).toSorted(),
        )
        expect(await miscounts(queue.db)).toEqual([])
        const overdue = (await node.rows()).filter(({ due_at }) => due_at !== null && due_at <= ends)
        expect(overdue).toEqual([])
      },
    ),
    { numRuns: 60 },
  )
})
