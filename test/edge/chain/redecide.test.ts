import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'
import { type Asked, type Contract, createSubscription, deploy, transact } from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

/** What was decided by blocks that a real chain has undone, of subscriptions that were there before. */

let world: Ticking
let consumer: Contract
let node: ChainTick

const period = 3_600

/** One that was picked up long ago, so that the journal has forgotten the block, and whose first interval has not begun. */
async function picked(asked: Asked = {}): Promise<number> {
  const id = await createSubscription(world.chain, consumer, { frequency: 3, period, ...asked })
  await transact(world.chain, consumer, { functionName: 'give', args: [id, '0x01'] })
  await world.look(node)
  await world.mine(3)
  await world.look(node)
  await world.queue.db.orm.run(sql`delete from chain_blocks`)
  return id
}

/** Another node's answer. */
async function answer(id: number, interval = 1): Promise<void> {
  const { coordinator, deployer } = world.chain
  const contract = { address: coordinator, abi: eip712CoordinatorAbi as never }
  const wallet = deployer.wallet.account.address
  await transact(world.chain, contract, {
    functionName: 'deliverCompute',
    args: [id, interval, '0x', '0x', '0x', wallet],
  })
}

const rows = async () =>
  await world.queue.db.orm.all<{ state: string; reason: string | null; next_interval: number }>(
    sql`select state, reason, next_interval from subscriptions order by id`,
  )

/** Computes what is begun, sends it, and finds it mined. */
async function serve(): Promise<void> {
  await world.compute()
  await world.look(node)
  await mined()
}

/** What was sent is in a block by then, and the node knows. */
async function mined(): Promise<void> {
  await world.mine()
  await world.look(node)
}

describe.for([false, true])('a reorganisation; first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment })
    consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
    node = world.ticker()
  })
  afterEach(async () => await world?.close())

  test('default: that undoes a cancellation has the subscription served again, once', async () => {
    const id = await picked()
    await transact(world.chain, consumer, { functionName: 'cancel', args: [id] })
    await world.chain.warp(period)
    await world.look(node)
    expect(await rows()).toMatchObject([{ state: 'ended', reason: 'cancelled' }])
    await world.reorganise(2)
    await world.chain.warp(period)
    await world.look(node)
    expect(await rows()).toMatchObject([{ state: 'active', next_interval: 2 }])
    await serve()
    expect(await world.deliveries()).toMatchObject([{ subscription: id, interval: 1, state: 'delivered' }])
    await world.look(node, 2)
    expect(await world.queue.ids()).toHaveLength(1)
    expect(await world.fulfilled()).toEqual([id])
  })

  test('behavior: that keeps the cancellation leaves it ended', async () => {
    const id = await picked()
    await transact(world.chain, consumer, { functionName: 'cancel', args: [id] })
    await world.chain.warp(period)
    await world.look(node)
    await world.mine(2)
    await world.look(node)
    await world.reorganise(2)
    await world.look(node, 2)
    expect(world.events()).toContain('Chain reorganised')
    expect(await rows()).toMatchObject([{ state: 'ended', reason: 'cancelled' }])
  })

  test('behavior: that undoes another node’s answer has the interval answered by this one', async () => {
    const id = await picked()
    await world.chain.warp(period)
    await answer(id)
    await world.look(node)
    expect(await rows()).toMatchObject([{ state: 'active', next_interval: 2 }])
    expect(await world.states()).toEqual([])
    await world.reorganise(1)
    await world.look(node)
    await serve()
    expect(await world.deliveries()).toMatchObject([{ interval: 1, state: 'delivered' }])
    expect(await world.fulfilled()).toEqual([id])
  })

  test('behavior: that undoes what an answer was given up for has it sent, and not computed again', async () => {
    const id = await picked()
    await world.chain.warp(period)
    await world.look(node)
    await answer(id)
    await world.compute()
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'IntervalCompleted' }])
    await world.reorganise(1)
    await world.look(node)
    await mined()
    expect(await world.deliveries()).toMatchObject([{ state: 'delivered', reason: null }])
    expect(await world.fulfilled()).toEqual([id])
    expect(await world.queue.ids()).toHaveLength(1)
  })

  test('behavior: on a chain that is trailed, too, though the block that is believed is the same', async () => {
    node = world.ticker({ trailHeadBlocks: 2 })
    const id = await picked()
    await world.chain.warp(period)
    await world.mine(2)
    // The block that is believed has the interval open; the newest has it answered.
    await answer(id)
    await world.look(node)
    await world.compute()
    await world.look(node)
    expect(await world.fulfilled()).toEqual([id])
    await world.reorganise(1)
    await world.look(node, 2)
    await serve()
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.fulfilled()).toEqual([id])
  })
})
