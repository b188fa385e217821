import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { type Address, numberToHex, parseEther, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { priceScale, type Serve, surplusOf, worthOf } from '../../../../src/edge/chain/guard/serve.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { type Contract, transact } from '../../../support/chain.ts'
import { type GuardWorld, startGuardWorld } from './world.ts'

const token: Address = `0x${'cc'.repeat(20)}`

describe('arithmetic', () => {
  const amounts = fc.bigInt({ min: 0n, max: 2n ** 200n })
  const prices = fc.bigInt({ min: 0n, max: 10n ** 40n })

  test('property: a sum is worth its parts, but for the wei that rounding takes', () => {
    fc.assert(
      fc.property(amounts, amounts, prices, (one, other, price) => {
        const listed = new Map([[token, price]])
        const worth = (amount: bigint) => worthOf(listed, { amount, token })
        const lost = worth(one + other) - worth(one) - worth(other)
        expect(lost === 0n || lost === 1n).toBe(true)
      }),
    )
  })

  test('default: what has no price is worth nothing', () => {
    expect(worthOf(new Map(), { amount: 10n ** 30n, token })).toBe(0n)
    expect(worthOf(new Map([[token, priceScale / 2n]]), { amount: 3n, token })).toBe(1n)
    const paid = { payout: 7n, token: zeroAddress, cost: 7n }
    expect(surplusOf(openGuard.worth.prices, paid)).toBe(0n)
    expect(surplusOf(new Map(), paid)).toBe(-7n)
  })
})

describe.for([false, true])('on a chain; first deployment: %s', firstDeployment => {
  let world: GuardWorld
  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
  })
  afterEach(async () => await world?.close())

  const nodeOf = (serve: Serve) =>
    world.node({ guard: { ...openGuard, worth: { ...openGuard.worth, serve } } })
  const rows = async () =>
    await world.queue.db.orm.all<{ state: string; reason: string | null }>(
      sql`select state, reason from subscriptions order by id`,
    )
  const sent = async () => (await world.queue.db.orm.all(sql`select 1 from transactions`)).length
  /** The next block's, in gwei. */
  async function baseFee(gwei: number): Promise<void> {
    await world.request('anvil_setNextBlockBaseFeePerGas', numberToHex(gwei * 1_000_000_000))
    await world.mine()
  }
  /** 0.001 ether: as much as 200,000 gas cost at 5 gwei. */
  const ask = async () => await world.askFor({ paid: true, amount: parseEther('0.001') })

  test('profitable: nothing is computed while gas is too dear, and it is when gas is cheap again', async () => {
    const node = nodeOf({ kind: 'profitable' })
    await ask()
    await world.askFor()
    await baseFee(50)
    await world.look(node)
    expect(await rows()).toEqual([
      { state: 'active', reason: 'unprofitable' },
      { state: 'active', reason: 'unprofitable' },
    ])
    expect(await world.compute()).toBe(0)
    await world.chain.warp(600)
    await baseFee(1)
    await world.look(node)
    expect(await rows()).toMatchObject([{ reason: 'begun' }, { reason: 'unprofitable' }])
    expect(await world.compute()).toBe(1)
    await world.look(node)
    expect(await world.fulfilled()).toEqual([1])
  })

  test('profitable: what is computed already waits for its fee, and is not given up for it', async () => {
    const node = nodeOf({ kind: 'profitable' })
    await ask()
    await baseFee(1)
    await world.look(node)
    await world.compute()
    await baseFee(50)
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'unprofitable', tries: 0 }])
    expect(await sent()).toBe(0)
    world.queue.clock.ms += 31_000
    await baseFee(1)
    await world.look(node)
    expect(await world.fulfilled()).toEqual([1])
  })

  const oracle = '0x420000000000000000000000000000000000000f'
  /** As of the OP stack: so many wei for a byte, of `getL1FeeUpperBound(uint256)`. */
  const takeForData = async (wei: bigint) => {
    const price = numberToHex(wei, { size: 8 }).slice(2)
    await world.request('anvil_setCode', oracle, `0x60043567${price}0260005260206000f3`)
  }

  test.for([
    ['in words that nobody knows', { code: -32_000, message: 'no' }],
    ['for trouble of its own', { code: -32_603, message: 'no' }],
    ['of all but nothing', { code: 3, message: 'execution reverted', data: '0x' }],
  ] as const)(
    'profitable: what a rollup takes is refused %s: who asks waits, and no tick fails',
    async ([, error]) => {
      await ask()
      await takeForData(1n)
      await baseFee(1)
      const node = nodeOf({ kind: 'profitable' })
      // With no bytes but those around them it says what it takes, if it says anything.
      const isAsked = (call: string) => call.includes(oracle) && !(error.code === 3 && call.includes('0078"'))
      const refused = (isRefused: boolean) =>
        world.proxy.setOverride(call => (isRefused && isAsked(JSON.stringify(call)) ? { error } : null))
      refused(true)
      await world.look(node)
      expect(await rows()).toEqual([{ state: 'active', reason: 'fee_unknown' }])
      refused(false)
      await world.chain.warp(600)
      await baseFee(1)
      await world.look(node)
      expect(await world.compute()).toBe(1)
      refused(true)
      await world.look(node)
      expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'fee_unknown', tries: 0 }])
      refused(false)
      world.queue.clock.ms += 31_000
      await baseFee(1)
      await world.look(node)
      expect(await world.fulfilled()).toEqual([1])
    },
  )

  test('profitable: with what a rollup takes for data', async () => {
    await ask()
    await takeForData(10n ** 12n)
    await baseFee(1)
    const node = nodeOf({ kind: 'profitable' })
    await world.look(node)
    expect(await rows()).toEqual([{ state: 'active', reason: 'unprofitable' }])
    await takeForData(1n)
    await world.chain.warp(600)
    await baseFee(1)
    await world.look(node)
    expect(await world.compute()).toBe(1)
    await takeForData(10n ** 13n)
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'unprofitable' }])
    await takeForData(1n)
    world.queue.clock.ms += 31_000
    await baseFee(1)
    await world.look(node)
    expect(await world.fulfilled()).toEqual([1])
  })

  test('profitable: by the gas that the consumer’s last answer took', async () => {
    const node = nodeOf({ kind: 'profitable' })
    await world.queue.db.orm.run(sql`
      insert into consumers (chain, owner, last_gas, first_seen, last_seen)
      values (${world.chain.id}, ${world.consumer.address.toLowerCase()}, 4000000, 1, 1)`)
    await ask()
    await baseFee(1)
    await world.look(node)
    expect(await rows()).toEqual([{ state: 'active', reason: 'unprofitable' }])
  })

  test('free: a day’s gas for all who do not pay; who pays is served', async () => {
    // Of one answer, and less than of two.
    const node = nodeOf({ kind: 'free', freeGas: 300_000 })
    await world.askFor()
    await world.askFor({ from: await world.another() })
    await world.answer(node)
    expect(await world.deliveries()).toMatchObject([
      { state: 'sending' },
      { state: 'computed', reason: 'free_gas_spent', tries: 0 },
    ])
    await world.mine()
    await world.look(node)
    world.queue.clock.ms += 31_000
    await world.mine()
    await world.look(node)
    expect(await world.states()).toEqual(['delivered', 'computed'])
    await ask()
    await world.answer(node)
    expect(await world.fulfilled()).toEqual([1, 3])
    world.queue.clock.ms += 24 * 3_600_000
    await world.mine()
    await world.look(node)
    expect(await world.fulfilled()).toEqual([1, 2, 3])
  })

  test('free: a wei pays for nothing, before it is computed and before it is sent', async () => {
    await world.askFor({ paid: true, amount: 1n })
    await world.look(nodeOf({ kind: 'free', freeGas: 0 }))
    expect(await rows()).toEqual([{ state: 'active', reason: 'free_gas_spent' }])
    expect(await world.compute()).toBe(0)
    await world.chain.warp(600)
    const node = nodeOf({ kind: 'free', freeGas: 300_000 })
    await world.askFor({ from: await world.another(), paid: true, amount: 0n })
    await world.answer(node)
    expect(await world.deliveries()).toMatchObject([
      { state: 'sending' },
      { state: 'computed', reason: 'free_gas_spent', tries: 0 },
    ])
  })

  /** Of less than one answer. */
  const nearlySpent = { kind: 'free', freeGas: 100 } as const

  test('free: a price of which the protocol leaves nothing pays for nothing', async () => {
    const node = nodeOf(nearlySpent)
    const fee: Contract = { address: world.chain.fee, abi: feeAbi as never }
    await transact(world.chain, fee, { functionName: 'updateFee', args: [5_000] })
    await ask()
    await world.answer(node)
    expect(await world.deliveries()).toMatchObject([
      { state: 'computed', reason: 'free_gas_spent', tries: 0 },
    ])
    expect(await sent()).toBe(0)
  })

  test('free: where it was not reckoned what is left of the price, that pays', async () => {
    const node = nodeOf(nearlySpent)
    await baseFee(1)
    await ask()
    await world.look(node)
    await world.compute()
    await world.queue.db.orm.run(sql`update deliveries set min_payout = null`)
    await world.look(node, 2)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.record()).toMatchObject({ unpaid_gas: 0 })
  })

  test('free: once it is spent who pays for the gas is served, and who pays a part of it waits', async () => {
    await ask()
    await world.askFor({ paid: true, amount: parseEther('0.00001') })
    await baseFee(1)
    const node = nodeOf({ kind: 'free', freeGas: 0 })
    await world.look(node)
    expect(await rows()).toMatchObject([{ reason: 'begun' }, { reason: 'free_gas_spent' }])
    await world.compute()
    await world.look(node)
    expect(await world.fulfilled()).toEqual([1])
  })

  test('free: once it is spent nothing is computed either', async () => {
    const node = nodeOf({ kind: 'free', freeGas: 1 })
    await world.queue.db.orm.run(sql`
      insert into consumer_hours (chain, owner, hour, unpaid_gas)
      values (${world.chain.id}, '*', ${Math.floor(world.queue.clock.ms / 3_600_000)}, 1)`)
    await world.askFor()
    await world.look(node)
    expect(await rows()).toEqual([{ state: 'active', reason: 'free_gas_spent' }])
    expect(await world.compute()).toBe(0)
  })
})
