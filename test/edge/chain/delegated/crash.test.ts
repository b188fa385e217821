import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DelegatedRequest } from '../../../../src/protocol/delegated.ts'
import { Died, dieAt, type Gate } from '../outbox/mortal.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** A process that dies between any two steps, before the second has happened or without having heard of it: another one goes on. */

let world: Delegating
let worlds: Delegating[] = []
beforeAll(async () => {
  worlds = await Promise.all([false, true].map(firstDeployment => startDelegating({ firstDeployment })))
})
afterAll(async () => {
  for (const each of worlds) await each.close()
})

/** More steps than one of these has. */
const manySteps = 28
const blows = Array.from({ length: manySteps }, (_, step) => step).flatMap(step =>
  (['before', 'after'] as const).map(when => ({ step, when })),
)

/** A gate, and whether somebody died at it. */
function deadly(step: number, when: 'before' | 'after'): { gate: Gate; hasKilled(): boolean } {
  let killed = false
  const inner = dieAt(step, when)
  const gate: Gate = async (what, run) => {
    try {
      return await inner(what, run)
    } catch (error) {
      killed ||= error instanceof Died
      throw error
    }
  }
  return { gate, hasKilled: () => killed }
}

type State = { subscription: number; state: string; reason: string | null; job: string }

async function stateOf({ signature: { nonce } }: DelegatedRequest): Promise<State[]> {
  return await world.queue.db.orm.all<State>(sql`
    select d.subscription, state, reason, job from delegations as d
      join deliveries on deliveries.chain = d.chain and deliveries.subscription = d.subscription
    where d.nonce = ${nonce} and interval > 0`)
}

/** That it is answered once by the node, whatever it took, and computed once. */
async function expectOnce(request: DelegatedRequest, { others = 0 } = {}): Promise<void> {
  const [delivery, ...rest] = await stateOf(request)
  expect([delivery?.state, delivery?.reason, rest]).toEqual(['delivered', null, []])
  const id = delivery?.subscription ?? 0
  expect(id).toBeGreaterThan(0)
  expect((await world.fulfilled()).filter(each => each === id)).toHaveLength(1 + others)
}

async function jobs(): Promise<number> {
  const [row] = await world.queue.db.orm.all<{ n: number }>(sql`select count(*) as n from jobs`)
  return row?.n ?? 0
}

/**
 * Has a story told with a process that dies at each of its steps: before it over one deployment of the contracts, after it over the other, which
 * change places from step to step. @returns how many there were.
 */
async function tell(story: (gate: Gate) => Promise<void>): Promise<number> {
  let deaths = 0
  let survived = 0
  for (const [index, { step, when }] of blows.entries()) {
    world = worlds[(index + step) % 2]!
    const { gate, hasKilled } = deadly(step, when)
    await story(gate)
    survived = hasKilled() ? 0 : survived + 1
    deaths += Number(hasKilled())
    // Over both.
    if (survived === 2) break
  }
  return deaths
}

describe('a process that dies', () => {
  test('behavior: at the door: the same again is taken on once', async () => {
    const deaths = await tell(async gate => {
      const before = await jobs()
      const request = await world.sign()
      let isOpen = false
      const door = await world.door({
        gate: async (what, step) => (isOpen ? await gate(what, step) : await step()),
      })
      isOpen = true
      await world.send(request, { door }).catch(() => {})
      await world.take(request)
      const node = world.ticker()
      await world.look(node)
      await world.compute()
      await world.settle(node)
      await expectOnce(request)
      expect(await jobs()).toBe(before + 1)
    })
    // A request and the job that it begins are stored in one step.
    expect(deaths).toBeGreaterThan(11)
  }, 120_000)

  test('behavior: while it sends: it is created and answered once', async () => {
    const deaths = await tell(async gate => {
      const request = await world.sign()
      await world.take(request)
      await world.compute()
      await world.look(world.ticker({ gate }))
      await world.settle(world.ticker())
      await expectOnce(request)
    })
    expect(deaths).toBeGreaterThan(12)
  }, 120_000)

  test('behavior: while it notes that it was mined: it has its id', async () => {
    const deaths = await tell(async gate => {
      const request = await world.sign()
      await world.take(request)
      await world.compute()
      await world.look(world.ticker())
      await world.mine()
      await world.look(world.ticker({ gate }))
      await world.settle(world.ticker())
      await expectOnce(request)
    })
    expect(deaths).toBeGreaterThan(12)
  }, 120_000)

  test('behavior: while it sees that others have created it: it has its id', async () => {
    const deaths = await tell(async gate => {
      const request = await world.sign({ redundancy: 2 })
      await world.take(request)
      await world.answer(request)
      await world.compute()
      await world.look(world.ticker({ gate }))
      await world.settle(world.ticker())
      await expectOnce(request, { others: 1 })
    })
    expect(deaths).toBeGreaterThan(12)
  }, 120_000)

  test('behavior: while it finds that the creation is undone: it is created again', async () => {
    const deaths = await tell(async gate => {
      await world.mine(2)
      const request = await world.sign()
      await world.take(request)
      await world.compute()
      const node = world.ticker()
      await world.look(node)
      await world.mine(2)
      await world.look(node)
      await world.reorganise(3)
      await world.mine()
      await world.look(world.ticker({ gate }))
      await world.settle(world.ticker())
      await expectOnce(request)
    })
    expect(deaths).toBeGreaterThan(12)
  }, 120_000)
})
