import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { decodeFunctionData, type Hex, zeroAddress, zeroHash } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { boundsOf } from '../../../../src/edge/chain/guard/bounds.ts'
import { payoutOf } from '../../../../src/edge/chain/guard/payout.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { transact } from '../../../support/chain.ts'
import { subscriptionOf } from '../subscription.ts'
import { type GuardWorld, price, startGuardWorld } from './world.ts'

/** What an answer does not go out beyond. */

describe('payoutOf', () => {
  test('default: as the contracts reckon it', () => {
    expect(payoutOf(10n ** 18n, { fee: 511n })).toBe(897_800_000_000_000_000n)
    expect(payoutOf(40_000_000n, { fee: 511n, verifierFee: 5_000_000n })).toBe(30_912_000n)
    expect(payoutOf(1n, { fee: 0n })).toBe(1n)
    expect(payoutOf(10n, { fee: 5_000n })).toBe(0n)
    expect(payoutOf(10n, { fee: 0n, verifierFee: 11n })).toBe(-1n)
  })

  test('property: fee and payout are the price, and less fee is never less payout', () => {
    const amounts = fc.bigInt({ min: 0n, max: 2n ** 200n })
    const fees = fc.bigInt({ min: 0n, max: 5_000n })
    fc.assert(
      fc.property(amounts, fees, fees, (amount, one, other) => {
        const payout = payoutOf(amount, { fee: one })
        expect(payout + (amount * 2n * one) / 10_000n).toBe(amount)
        const [less, more] = one < other ? [one, other] : [other, one]
        expect(payoutOf(amount, { fee: less })).toBeGreaterThanOrEqual(payoutOf(amount, { fee: more }))
      }),
    )
  })
})

test('boundsOf: the last second that is in time; none where there is none', () => {
  const subscription = subscriptionOf({ id: 1, paymentAmount: 5n })
  const deadlineOf = (deadline: number | null) => boundsOf(subscription, { minPayout: 1n, deadline }).deadline
  expect([null, 1_000, 2 ** 32 - 1, 2 ** 32].map(deadlineOf)).toEqual([0, 999, 2 ** 32 - 2, 0])
  expect(boundsOf(subscription, { minPayout: 1n, deadline: null }).maxStake).toBe(0n)
  const verifier = `0x${'a1'.repeat(20)}` as const
  expect(boundsOf({ ...subscription, verifier }, { minPayout: 1n, deadline: null }).maxStake).toBe(5n)
})

describe('on a chain', () => {
  let world: GuardWorld
  beforeEach(async () => {
    world = await startGuardWorld()
    await setFee(100)
  })
  afterEach(async () => await world?.close())

  const setFee = async (fee: number) =>
    void (await transact(
      world.chain,
      { address: world.chain.fee, abi: feeAbi as never },
      { functionName: 'updateFee', args: [fee] },
    ))
  const calls = async () => {
    const rows = await world.queue.db.orm.all<{ data: Hex }>(
      sql`select data from transactions order by nonce`,
    )
    return rows.map(({ data }) => decodeFunctionData({ abi: eip712CoordinatorAbi, data }))
  }
  const paidOut = async () => await world.chain.deployer.chain.getBalance({ address: world.nodeWallet })
  const left = (price * 98n) / 100n

  test('default: what pays goes out with all that it was computed for', async () => {
    const node = world.node()
    await world.askFor({ paid: true })
    await world.answer(node)
    const [call] = await calls()
    expect(call).toMatchObject({
      functionName: 'deliverComputeBounded',
      args: [
        { subscriptionId: 1, interval: 1 },
        {
          minPayout: left,
          maxStake: 0n,
          paymentToken: zeroAddress,
          verifier: zeroAddress,
          deadline: 0,
          containerId: expect.not.stringContaining(zeroHash),
        },
      ],
    })
    expect(await paidOut()).toBe(left)
  })

  test('behavior: in a batch, each with its own; what pays nothing goes as it is', async () => {
    const node = world.node()
    await world.chain.anvil.setBalance({ address: world.payer, value: 3n * price })
    await world.askFor({ paid: true })
    await world.askFor()
    await world.askFor({ paid: true })
    await world.answer(node)
    const [call] = await calls()
    const inner = (call!.args as unknown as [{ data: Hex }[]])[0].map(
      ({ data }) => decodeFunctionData({ abi: eip712CoordinatorAbi, data }).functionName,
    )
    expect(inner).toEqual(['deliverComputeBounded', 'deliverCompute', 'deliverComputeBounded'])
    expect(await paidOut()).toBe(2n * left)
    await world.mine()
    await world.look(node)
    expect(await world.states()).toEqual(['delivered', 'delivered', 'delivered'])
  })

  test('behavior: a fee that is raised once it was computed costs a simulation; lowered again, it is paid in full', async () => {
    const node = world.node()
    await world.askFor({ paid: true })
    await world.look(node)
    await world.compute()
    await setFee(4_000)
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'PayoutTooLow', tx: null }])
    await setFee(100)
    world.queue.clock.ms += 60_000
    await world.mine()
    await world.look(node)
    expect(await paidOut()).toBe(left)
  })

  test('behavior: while the fee cannot be read nothing is begun that pays, and then it has its bounds', async () => {
    const fee = world.chain.fee.toLowerCase()
    world.proxy.setOverride(({ params }) =>
      JSON.stringify(params).toLowerCase().includes(fee)
        ? { error: { code: 3, message: 'execution reverted', data: '0x' } }
        : null,
    )
    const node = world.node()
    await world.askFor({ paid: true })
    await world.askFor()
    await world.answer(node)
    expect(await world.deliveries()).toMatchObject([{ subscription: 2 }])
    const [waiting] = await world.queue.db.orm.all<{ state: string; reason: string }>(
      sql`select state, reason from subscriptions order by id`,
    )
    expect(waiting).toEqual({ state: 'active', reason: 'fee_unknown' })
    world.proxy.setOverride(undefined)
    await world.chain.warp(60)
    await world.answer(node)
    await world.mine()
    await world.look(node)
    expect(await world.states()).toEqual(['delivered', 'delivered'])
    expect(await calls()).toMatchObject([
      { functionName: 'deliverCompute' },
      { functionName: 'deliverComputeBounded', args: [{ subscriptionId: 1 }, { minPayout: left }] },
    ])
  })

  test('behavior: a fee that is raised before it is mined takes gas, and not the answer', async () => {
    const node = world.node()
    await world.askFor({ paid: true })
    await world.look(node)
    await world.compute()
    await world.holding(async () => {
      await world.look(node)
      await world.chain.deployer.wallet.writeContract({
        address: world.chain.fee,
        abi: feeAbi,
        functionName: 'updateFee',
        args: [4_000],
        maxFeePerGas: 100_000_000_000n,
        maxPriorityFeePerGas: 50_000_000_000n,
      })
    })
    await world.look(node)
    expect(await paidOut()).toBe(0n)
    expect(await world.fulfilled()).toEqual([])
    const record = await world.record()
    expect(record).toMatchObject({ reverted: 1, paid: 0 })
    expect(record?.wasted_gas).toBeLessThan(50_000)
  })

  test('behavior: the first deployments take no bounds', async () => {
    const first = await startGuardWorld({ firstDeployment: true })
    try {
      await first.askFor({ paid: true })
      await first.answer(first.node())
      const [row] = await first.queue.db.orm.all<{ data: Hex }>(sql`select data from transactions`)
      expect(decodeFunctionData({ abi: eip712CoordinatorAbi, data: row!.data }).functionName).toBe(
        'deliverCompute',
      )
    } finally {
      await first.close()
    }
  })
})
