import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { transact } from '../../../support/chain.ts'
import { type GuardWorld, startGuardWorld } from './world.ts'

/** What is counted of a consumer, on a real chain. */

let world: GuardWorld
let node: ChainTick

const mined = async () =>
  await world.queue.db.orm.all<{ hash: Hex; gas_used: number }>(
    sql`select mined_hash as hash, gas_used from transactions where mined_hash is not null order by nonce`,
  )
const nothing = {
  paid: 0,
  unpaid: 0,
  reverted: 0,
  rejected: 0,
  dropped: 0,
  wasted_gas: 0,
  wasted: '0',
  unpaid_gas: 0,
}

/** A paid answer that is mined, and fails: its consumer takes the money in the same block. */
async function rob(): Promise<void> {
  await world.askFor({ paid: true })
  await world.look(node)
  await world.compute()
  await world.holding(async () => {
    await world.look(node)
    await world.withdraw()
  })
  await world.look(node)
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
    node = world.node()
  })

  afterEach(async () => await world?.close())

  test('default: paid and unpaid answers, and the gas of these', async () => {
    expect(await world.record()).toBeNull()
    await world.askFor({ paid: true })
    await world.answer(node)
    await world.mine()
    await world.look(node)
    expect(await world.record()).toMatchObject({ ...nothing, paid: 1 })
    await world.askFor()
    await world.answer(node)
    await world.mine()
    await world.look(node)
    const [, second] = await mined()
    expect(await world.record()).toMatchObject({
      ...nothing,
      paid: 1,
      unpaid: 1,
      unpaid_gas: second?.gas_used,
      last_gas: second?.gas_used,
      day: { reverted: 0, rejected: 0, wasted_gas: 0, unpaid_gas: second?.gas_used, dropped: 0 },
    })
  })

  test('behavior: what was mined and failed, and the wei of its gas', async () => {
    await rob()
    const [{ hash } = { hash: '0x' as Hex }] = await mined()
    const { status, gasUsed, effectiveGasPrice } = await world.receiptOf(hash)
    expect(status).toBe('reverted')
    expect(await world.record()).toMatchObject({
      ...nothing,
      reverted: 1,
      wasted_gas: Number(gasUsed),
      wasted: String(gasUsed * effectiveGasPrice),
      last_gas: null,
      day: { reverted: 1, rejected: 0, wasted_gas: Number(gasUsed), unpaid_gas: 0, dropped: 0 },
    })
  })

  test('behavior: what is mined is counted once, whoever looks', async () => {
    await world.askFor()
    await world.answer(node)
    await world.mine()
    const others = [world.node(), world.node(), world.node()]
    await Promise.all(others.map(other => world.look(other)))
    await world.look(node)
    expect(await world.record()).toMatchObject({ ...nothing, unpaid: 1, unpaid_gas: expect.any(Number) })
  })

  test.skipIf(firstDeployment)('behavior: a batch’s gas is parted among those who asked', async () => {
    const other = await world.another()
    await world.askFor()
    await world.askFor({ from: other })
    await world.answer(node)
    await world.mine()
    await world.look(node)
    const [{ gas_used } = { gas_used: 0 }] = await mined()
    const gas = await Promise.all(
      [world.consumer, other].map(async ({ address }) => (await world.record(address))?.unpaid_gas ?? 0),
    )
    expect(gas[0]! + gas[1]!).toBe(gas_used)
    expect(Math.abs(gas[0]! - gas[1]!)).toBeLessThan(gas_used / 50)
  })

  test('behavior: an answer that the chain does not take costs work, and no gas', async () => {
    const id = await world.askFor()
    await world.look(node)
    await world.compute()
    // Just after an interval has begun it might be the clock that says so.
    await world.chain.warp(60)
    await transact(world.chain, world.consumer, { functionName: 'cancel', args: [id] })
    await world.look(node)
    expect(await world.record()).toMatchObject({ ...nothing, dropped: 1 })
    expect(await mined()).toEqual([])
  })

  describe('reorganisations', () => {
    test('behavior: what was delivered in blocks that are undone is not counted until it is mined again', async () => {
      await world.askFor()
      await world.answer(node)
      await world.mine()
      await world.look(node)
      expect(await world.record()).toMatchObject({ unpaid: 1 })
      await world.holding(async () => {
        await world.reorganise(2)
        await world.look(node)
        expect(await world.record()).toMatchObject({ ...nothing, day: { unpaid_gas: 0 } })
      })
      await world.look(node)
      const [{ gas_used } = { gas_used: 0 }] = await mined()
      expect(await world.record()).toMatchObject({ ...nothing, unpaid: 1, unpaid_gas: gas_used })
    })

    test('behavior: what failed in blocks that are undone has cost nothing', async () => {
      await rob()
      expect(await world.record()).toMatchObject({ reverted: 1 })
      await world.holding(async () => {
        await world.reorganise(2)
        await world.look(node)
        expect(await world.record()).toMatchObject({ ...nothing, day: { reverted: 0, wasted_gas: 0 } })
      })
    })

    test('behavior: what was given up by a block that is undone was not for nothing', async () => {
      const id = await world.askFor()
      await world.look(node)
      await world.compute()
      await world.chain.warp(60)
      await transact(world.chain, world.consumer, { functionName: 'cancel', args: [id] })
      await world.look(node)
      expect(await world.record()).toMatchObject({ dropped: 1 })
      await world.reorganise(1)
      await world.mine()
      await world.look(node)
      expect(await world.record()).toMatchObject({ dropped: 0, day: { dropped: 0 } })
    })

    test('behavior: what is final is counted for good, and nothing of it is kept to be undone', async () => {
      await world.askFor()
      const deep = world.node({ reorgDepth: 3 })
      await world.answer(deep)
      await world.mine(6)
      await world.look(deep, 2)
      expect(await world.states()).toEqual(['final'])
      expect(await world.record()).toMatchObject({ unpaid: 1 })
      expect(await world.queue.db.orm.all(sql`select 1 from consumer_changes`)).toEqual([])
    })
  })
})
