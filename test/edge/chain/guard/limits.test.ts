import { sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { noLimits, openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { startDelegating } from '../delegated/delegating.ts'
import { type GuardWorld, startGuardWorld } from './world.ts'

/** Who has cost too much waits, on a real chain. */

const daySeconds = 86_400
const limitedTo = (limits: Partial<typeof noLimits>) => ({
  guard: { ...openGuard, limits: { ...noLimits, ...limits } },
})

let world: GuardWorld
let node: ChainTick

type Row = { id: number; state: string; reason: string | null; params: string | null }
const rows = async () =>
  await world.queue.db.orm.all<Row>(sql`select id, state, reason, params from subscriptions order by id`)
const jobs = async () => (await world.queue.ids()).length

/** A paid answer that is mined, and fails. */
async function rob(): Promise<void> {
  await world.askFor({ paid: true })
  await world.look(node)
  await world.compute()
  await world.holding(async () => {
    await world.look(node)
    await world.withdraw()
  })
  await world.look(node)
  expect(await world.record()).toMatchObject({ reverted: 1 })
}

async function aDayLater(): Promise<void> {
  world.queue.clock.ms += daySeconds * 1000
  await world.chain.warp(daySeconds)
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
    node = world.node(limitedTo({ reverted: 1 }))
  })

  afterEach(async () => await world?.close())

  test('default: nothing is computed for whoever has reached a limit, until a day has passed', async () => {
    await rob()
    const before = await jobs()
    const id = await world.askFor()
    await world.look(node)
    const [, waiting] = await rows()
    expect(waiting).toMatchObject({ id, state: 'active', reason: 'consumer_limit' })
    expect(JSON.parse(waiting?.params ?? '')).toEqual({
      limit: 'reverted_per_day',
      used: 1,
      most: 1,
      until: new Date(1_800_000_000_000 + daySeconds * 1000).toISOString(),
    })
    expect(await jobs()).toBe(before)
    await aDayLater()
    await world.look(node)
    expect(await jobs()).toBe(before + 1)
  })

  test('behavior: others are served meanwhile', async () => {
    await rob()
    await world.askFor({ from: await world.another() })
    await world.look(node)
    expect(await world.compute()).toBe(1)
  })

  test('behavior: what is computed already is not sent, and goes out when the day has passed', async () => {
    await rob()
    await world.look(node)
    const sent = async () => (await world.queue.db.orm.all(sql`select 1 from transactions`)).length
    expect(await sent()).toBe(1)
    await world.refill()
    world.queue.clock.ms += 60_000
    await world.mine()
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([
      { state: 'computed', reason: 'consumer_limit', tries: 1 },
    ])
    expect(await sent()).toBe(1)
    await aDayLater()
    await world.look(node)
    await world.mine()
    await world.look(node)
    expect(await world.states()).toEqual(['delivered'])
  })

  test.each([
    ['wastedGas', { wastedGas: 50_000 }, true],
    ['wastedGas', { wastedGas: 5_000_000 }, false],
    ['unpaidGas', { unpaidGas: 50_000 }, true],
    ['unpaidGas', { unpaidGas: 5_000_000 }, false],
  ])('param: %s %j', async (limit, limits, isBarred) => {
    const limited = world.node(limitedTo(limits))
    if (limit === 'wastedGas') {
      await rob()
    } else {
      await world.askFor()
      await world.answer(limited)
      await world.mine()
      await world.look(limited)
    }
    const id = await world.askFor()
    await world.look(limited)
    expect((await rows()).find(row => row.id === id)).toMatchObject({
      reason: isBarred ? 'consumer_limit' : 'begun',
    })
  })

  test('behavior: gas that a wei does not pay for is unpaid', async () => {
    const limited = world.node(limitedTo({ unpaidGas: 1 }))
    await world.askFor({ paid: true, amount: 1n })
    await world.answer(limited)
    await world.mine()
    await world.look(limited)
    const [{ gas } = { gas: 0 }] = await world.queue.db.orm.all<{ gas: number }>(
      sql`select gas_used as gas from transactions`,
    )
    expect(await world.record()).toMatchObject({ paid: 1, unpaid: 0, unpaid_gas: gas })
    const id = await world.askFor({ paid: true, amount: 1n })
    await world.look(limited)
    expect((await rows()).find(row => row.id === id)).toMatchObject({ reason: 'consumer_limit' })
  })

  test('behavior: who pays the price that its container has in a token has paid', async () => {
    const priced = await startGuardWorld({
      firstDeployment,
      container: { accepted_payments: { [zeroAddress]: '1' } },
    })
    try {
      const limited = priced.node(limitedTo({ unpaidGas: 1 }))
      await priced.askFor({ paid: true, amount: 1n })
      await priced.answer(limited)
      await priced.mine()
      await priced.look(limited)
      expect(await priced.record()).toMatchObject({ paid: 1, unpaid_gas: 0 })
    } finally {
      await priced.close()
    }
  })

  test('behavior: a signed request is refused at the door, without a question to the chain', async () => {
    const delegating = await startDelegating({ firstDeployment })
    try {
      const limited = limitedTo({ unpaidGas: 1 })
      const own = delegating.ticker(limited)
      const door = await delegating.door(limited)
      await delegating.take({}, { door })
      await delegating.compute()
      await delegating.settle(own)
      delegating.proxy.takeRequests()
      expect(await delegating.refusal({}, { door })).toBe('consumer_limit')
      expect(delegating.proxy.takeRequests()).toEqual([])
      delegating.queue.clock.ms += daySeconds * 1000
      expect(await delegating.refusal({}, { door })).toBeNull()
    } finally {
      await delegating.close()
    }
  })
})
