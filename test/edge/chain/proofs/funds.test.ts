import { sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { nodeAddress } from '../../../support/chain.ts'
import { type Proving, price, startProving } from './proving.ts'

/** Wallets that are drained before a node is paid: it costs simulations, and no transaction. */

let world: Proving
afterEach(async () => await world?.close())

const jobs = async () => (await world.queue.ids()).length
const drain = async () => await world.chain.anvil.setBalance({ address: world.payer, value: 0n })
const fill = async () => await world.chain.anvil.setBalance({ address: world.payer, value: price })
const nonce = async () => await world.chain.deployer.chain.getTransactionCount({ address: nodeAddress })

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: drained before it is computed: it waits, and is begun when there is money', async () => {
    world = await startProving({ firstDeployment })
    await world.prove({ verifier: zeroAddress })
    await drain()
    await world.look(world.node)
    expect([await world.reasons(), await jobs()]).toEqual([['insufficient_balance'], 0])
    await fill()
    await world.warp(60)
    expect(await world.compute()).toBe(1)
    await world.later(2)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: drained after it was computed: told, tried again, and paid when there is money', async () => {
    world = await startProving({ firstDeployment })
    await world.prove({ verifier: zeroAddress })
    await world.look(world.node)
    await world.compute()
    await drain()
    await world.later(3)
    expect(await world.deliveries()).toMatchObject([
      { state: 'computed', reason: 'ETHTransferFailed', tries: 3 },
    ])
    expect([await world.sent(), await nonce()]).toEqual([[], 0])
    await fill()
    await world.later(2)
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.sent()).toEqual(['deliver mined'])
  })

  test('behavior: drained for good: tried until the interval is over, then dropped, with the reason, and counted', async () => {
    world = await startProving({ firstDeployment })
    const hours = 3_600
    await world.prove({ verifier: zeroAddress, period: hours })
    await world.warp(hours)
    expect(await world.compute()).toBe(1)
    await drain()
    // More often than what is in the way of others is tried.
    await world.later(15)
    expect(await world.deliveries()).toMatchObject([
      { state: 'computed', reason: 'ETHTransferFailed', tries: 15 },
    ])
    await world.chain.warp(hours)
    await world.later()
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'too_late' }])
    const rows = await world.queue.db.orm.all<{ message: string }>(sql`select message from deliveries`)
    expect(rows[0]?.message).toContain('ETHTransferFailed')
    const counted = sql`select dropped from consumers where owner <> '*'`
    expect(await world.queue.db.orm.all(counted)).toEqual([{ dropped: 1 }])
    expect([await world.sent(), await nonce()]).toEqual([[], 0])
  })

  test('behavior: with a proof, what the consumer lacks is not taken for what the node lacks', async () => {
    world = await startProving({ firstDeployment })
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    await world.compute()
    await drain()
    await world.later(2)
    const [delivery] = await world.deliveries()
    expect(delivery?.state).toBe('computed')
    expect(delivery?.reason).toMatch(/^(ETHTransferFailed|InsufficientFunds)$/)
    expect(await world.sent()).toEqual(['approve mined'])
  })
})
