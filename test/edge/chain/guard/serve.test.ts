import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { type Address, numberToHex, parseEther, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { isProfitable, priceScale, type Serve, worthOf } from '../../../../src/edge/chain/guard/serve.ts'
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

  test('property: it pays exactly from its gas’s cost on', () => {
    const gases = fc.integer({ min: 1, max: 30_000_000 })
    const fees = fc.bigInt({ min: 0n, max: 10n ** 12n })
    fc.assert(
      fc.property(gases, fees, (gas, feePerGas) => {
        const native = openGuard.worth.prices
        const cost = BigInt(gas) * feePerGas
        const pays = (payout: bigint) => isProfitable(native, { payout, token: zeroAddress, gas, feePerGas })
        expect(pays(cost)).toBe(true)
        if (cost > 0n) expect(pays(cost - 1n)).toBe(false)
      }),
    )
  })

  test('default: what has no price is worth nothing', () => {
    expect(worthOf(new Map(), { amount: 10n ** 30n, token })).toBe(0n)
    expect(worthOf(new Map([[token, priceScale / 2n]]), { amount: 3n, token })).toBe(1n)
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
