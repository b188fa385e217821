import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { startTicking, type Ticking } from './ticking.ts'

/** Reorganisations of a real chain that undo a request, at each depth: the request is in the lowest block that is undone. */

let world: Ticking

/** Where the answer is by then. */
type Moment = 'computing' | 'delivered'

const depths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
const moments: { moment: Moment; kept: boolean }[] = [
  { moment: 'computing', kept: true },
  { moment: 'computing', kept: false },
  { moment: 'delivered', kept: true },
  { moment: 'delivered', kept: false },
]
// A request and its answer are two blocks.
const stories = moments.flatMap(story =>
  depths.filter(depth => depth > 1 || story.moment === 'computing').map(depth => ({ depth, ...story })),
)

const rows = async () =>
  await world.queue.db.orm.all<{ state: string; reason: string }>(
    sql`select state, reason from subscriptions order by id`,
  )
const jobs = async () =>
  (await world.queue.db.orm.all<{ state: string }>(sql`select state from jobs order by created_at, id`)).map(
    ({ state }) => state,
  )

/** Until the answer is mined, once, and the node knows. */
async function delivered(node: ChainTick, id: number): Promise<void> {
  await expect
    .poll(
      async () => {
        await world.mine()
        await world.look(node)
        return { fulfilled: await world.fulfilled(), state: (await world.states()).at(-1) }
      },
      { timeout: 20_000 },
    )
    .toEqual({ fulfilled: [id], state: 'delivered' })
}

describe.each([false, true])('a request that is undone; first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment })
    // So that no contract is lost.
    await world.mine(10)
  })
  afterEach(async () => await world?.close())

  test.for(stories)(
    'behavior: $depth deep, its answer is $moment, it comes again: $kept',
    async ({ depth, moment, kept }) => {
      const node = world.ticker()
      const id = await world.ask()
      await world.look(node)
      if (moment !== 'computing') {
        await world.compute()
        await world.look(node)
        // The chain takes it before it is mined.
        await expect.poll(world.fulfilled).toEqual([id])
      }
      await world.mine(depth - (moment === 'computing' ? 1 : 2))
      await world.look(node)
      if (moment === 'delivered') expect(await world.states()).toEqual(['delivered'])

      await world.reorganise(depth, { kept })
      await world.mine()
      await world.look(node, 2)
      expect(world.events()).toContain('Chain reorganised')
      if (kept) {
        await world.compute()
        await delivered(node, id)
        expect(await jobs()).toEqual(['success'])
      } else {
        expect(await rows()).toEqual([{ state: 'ended', reason: 'vanished' }])
        expect(await jobs()).toEqual([moment === 'computing' ? 'cancelled' : 'success'])
        expect(await world.fulfilled()).toEqual([])
        // The same id is another request's, and is answered once.
        expect(await world.ask()).toBe(id)
        await world.look(node)
        await world.compute()
        await delivered(node, id)
      }
    },
  )
})
