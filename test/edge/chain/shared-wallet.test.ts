import { sql } from 'drizzle-orm'
import { type Address, parseEther } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { type Contract, createSubscription, deploy, fund, nodeAddress } from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

/**
 * Subscriptions that are paid out of one wallet, which has the price of one. Each is judged alone, as by the reference: what the wallet does not
 * reach for is computed once, and paid once, when it does.
 */

const price = parseEther('1')

let world: Ticking
let consumer: Contract
let payer: Address
let nodeWallet: Address
let node: ChainTick

const ask = async () => await createSubscription(world.chain, consumer, { amount: price, wallet: payer })
const balanceOf = async (address: Address) => await world.chain.deployer.chain.getBalance({ address })
const jobs = async () => (await world.queue.ids()).length
const reasons = async () => (await world.deliveries()).map(({ state, reason }) => [state, reason])
const nonces = async () =>
  (await world.queue.db.orm.all<{ nonce: number }>(sql`select nonce from transactions`)).length

async function refill(amount: bigint): Promise<void> {
  const hash = await world.chain.deployer.wallet.sendTransaction({ to: payer, value: amount })
  await world.chain.deployer.chain.waitForTransactionReceipt({ hash })
}

/** A block later, and when what was put off may be tried again. */
async function later(): Promise<void> {
  world.queue.clock.ms += 11 * 60_000
  await world.mine()
  await world.look(node)
}

/** One is paid, and the others are known not to be. */
async function paidOne(): Promise<void> {
  await world.look(node)
  await world.compute()
  await world.look(node)
  await later()
  await later()
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment })
    consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
    payer = await fund(world.chain, { spender: consumer.address, amount: price })
    nodeWallet = await fund(world.chain, { spender: nodeAddress, amount: 0n })
    node = world.ticker({ paymentAddress: nodeWallet })
  })

  afterEach(async () => await world?.close())

  test('default: each is computed once; one is paid, and the others when there is money', async () => {
    const ids = [await ask(), await ask(), await ask()]
    await paidOne()
    expect(await jobs()).toBe(3)
    expect(await balanceOf(nodeWallet)).toBe(price)
    expect(await reasons()).toEqual([
      ['delivered', null],
      ['computed', 'ETHTransferFailed'],
      ['computed', 'ETHTransferFailed'],
    ])
    await refill(2n * price)
    await later()
    await later()
    expect(await reasons()).toEqual(ids.map(() => ['delivered', null]))
    expect(await world.fulfilled()).toEqual(ids)
    expect(await balanceOf(nodeWallet)).toBe(3n * price)
    expect(await jobs()).toBe(3)
  })

  test('behavior: once the money is gone, nothing is computed for it any more', async () => {
    await ask()
    await paidOne()
    await ask()
    await world.look(node)
    expect(await jobs()).toBe(1)
    const rows = await world.queue.db.orm.all(sql`select state, reason from subscriptions order by id`)
    expect(rows).toMatchObject([{ reason: 'begun' }, { state: 'active', reason: 'insufficient_balance' }])
  })

  test('behavior: without money in the end the others are dropped, and take no nonce meanwhile', async () => {
    await ask()
    await ask()
    await paidOne()
    const before = await nonces()
    for (let round = 0; round < 10; round++) await later()
    expect(await reasons()).toEqual([
      ['delivered', null],
      ['dropped', 'ETHTransferFailed'],
    ])
    expect(await nonces()).toBe(before)
    expect(await jobs()).toBe(2)
  })
})
