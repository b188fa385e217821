import { sql } from 'drizzle-orm'
import { keccak256, parseAbi, parseEther, toFunctionSelector, toHex, zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import type { Door } from '../../../../src/edge/chain/delegated/door.ts'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { RpcUnavailable } from '../../../../src/edge/chain/rpc.ts'
import { createWallet } from '../../../../src/local/chain/start.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { limits } from '../../../../src/protocol/limits.ts'
import { deploy, fund, nodeAddress, transact } from '../../../support/chain.ts'
import { type Asking, type Delegating, startDelegating } from './delegating.ts'

/** What is paid, proved, and computed from. */

let world: Delegating
afterEach(async () => await world?.close())

const nodeWallet = async () =>
  await createWallet(
    world.chain.deployer,
    world.chain.walletFactory,
    world.chain.deployer.wallet.account.address,
  )
const price = parseEther('0.01')
const paid = (wallet: `0x${string}`, amount = price) => ({
  payment_amount: amount,
  payment_token: zeroAddress,
  wallet,
})

describe.for([false, true])('payment; first deployment: %s', firstDeployment => {
  const start = async () => {
    world = await startDelegating({
      firstDeployment,
      container: { accepted_payments: { [zeroAddress]: String(price) } },
    })
    const paymentAddress = await nodeWallet()
    const door = await world.door({ paymentAddress })
    return { node: world.ticker({ paymentAddress }), paymentAddress, door }
  }

  test('default: out of a wallet that has it', async () => {
    const { node, paymentAddress, door } = await start()
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    const { job } = await world.take(paid(wallet), { door })
    expect(job).not.toBeNull()
    await world.compute()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.chain.deployer.chain.getBalance({ address: paymentAddress })).toBe(price)
  })

  test('behavior: by a node that works for profit alone', async () => {
    await start()
    const guard = { ...openGuard, worth: { ...openGuard.worth, serve: { kind: 'profitable' } as const } }
    const changed = { paymentAddress: await nodeWallet(), guard }
    const door = await world.door(changed)
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    expect((await world.take(paid(wallet), { door })).job).not.toBeNull()
    await world.compute()
    await world.settle(world.ticker(changed))
    expect(await world.fulfilled()).toEqual([1])
  })

  const reason = async (asking: Asking, door: Door) => {
    const told = await world.send(await world.sign(asking), { door })
    return 'refusal' in told ? told.refusal : null
  }
  const invalid = (why: string) => ({
    code: 'invalid_payment',
    error: 'Invalid payment',
    params: { reason: why },
  })

  test('behavior: a wallet that cannot pay what is open is told so, and nothing is stored', async () => {
    const { door } = await start()
    const spender = world.consumer.address
    const poor = await fund(world.chain, { spender, amount: price - 1n })
    expect(await reason(paid(poor), door)).toEqual(invalid('insufficient balance'))
    const another = await fund(world.chain, { spender: nodeAddress, amount: price })
    expect(await reason(paid(another), door)).toEqual(invalid('insufficient allowance'))
    expect(await world.ids()).toEqual([])
    const rich = await fund(world.chain, { spender, amount: price })
    expect(await reason(paid(rich), door)).toBeNull()
  })

  test('behavior: a wallet that is emptied once the answer is computed: tried ten times, dropped, and counted', async () => {
    const { node, door } = await start()
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    await world.take(paid(wallet), { door })
    expect(await world.compute()).toBe(1)
    await world.chain.anvil.setBalance({ address: wallet, value: 0n })
    await world.settle(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', tries: 9 }])
    const counted = sql`select paid, reverted, dropped from consumers where owner <> '*'`
    expect(await world.queue.db.orm.all(counted)).toEqual([{ paid: 0, reverted: 0, dropped: 1 }])
  })

  test('behavior: what is open later may be paid for by then', async () => {
    const { node, door } = await start()
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    await world.chain.anvil.setBalance({ address: wallet, value: 0n })
    await world.chain.anvil.mine({ blocks: 1 })
    const active_at = Number((await world.chain.deployer.chain.getBlock()).timestamp) + 50
    expect(await world.take({ ...paid(wallet), active_at }, { door })).toMatchObject({ job: null })
    await world.chain.warp(60)
    await world.look(node)
    expect(await world.subscriptions()).toMatchObject([{ state: 'active', reason: 'insufficient_balance' }])
    expect(await world.compute()).toBe(0)
    await world.chain.anvil.setBalance({ address: wallet, value: price })
    await world.chain.warp(3_600)
    await world.look(node)
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
  })

  test('behavior: a chain that does not tell what is in the wallet has not refused it', async () => {
    const { door } = await start()
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    const trouble = { error: { code: -32_603, message: 'Internal error' } }
    for (const part of ['eth_getBalance', toFunctionSelector('isValidWallet(address)')]) {
      world.proxy.setOverride(call => (JSON.stringify(call).includes(part) ? trouble : null))
      await expect(world.send(await world.sign(paid(wallet)), { door })).rejects.toThrow(RpcUnavailable)
    }
    world.proxy.setOverride(undefined)
    expect(await world.ids()).toEqual([])
  })

  test('behavior: below the least that its container takes', async () => {
    const { door } = await start()
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    expect(await world.refusal(paid(wallet, price - 1n), { door })).toBe('invalid_payment')
    expect(await world.refusal({}, { door })).toBe('invalid_payment')
    expect(await world.ids()).toEqual([])
  })

  test('behavior: a wallet that the factory has not made, now or later', async () => {
    const { door } = await start()
    const later = Number((await world.chain.deployer.chain.getBlock()).timestamp) + 1_000
    for (const wallet of [world.consumer.address, nodeAddress])
      for (const active_at of [0, later])
        expect(await reason({ ...paid(wallet), active_at }, door)).toEqual(invalid('invalid wallet'))
    // What it says of itself counts for nothing; the price is looked at before.
    expect(await reason(paid(nodeAddress, price - 1n), door)).toEqual(invalid('below minimum payment'))
    expect(await world.ids()).toEqual([])
  })
})

// The first deployment's answers have no bounds.
describe('bounds', () => {
  test('behavior: an answer given up as the fee was raised does not count against who asked', async () => {
    world = await startDelegating()
    const setFee = async (fee: number) =>
      await transact(
        world.chain,
        { address: world.chain.fee, abi: feeAbi as never },
        { functionName: 'updateFee', args: [fee] },
      )
    await setFee(100)
    const paymentAddress = await fund(world.chain, { spender: nodeAddress, amount: 0n })
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    await world.take(paid(wallet), { door: await world.door({ paymentAddress }) })
    const node = world.ticker({ paymentAddress })
    await world.look(node)
    await world.compute()
    await setFee(4_000)
    await world.look(node)
    const { orm } = world.queue.db
    await orm.run(sql`update deliveries set tries = 9`)
    world.queue.clock.ms += 60_000
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'PayoutTooLow' }])
    expect(await orm.all(sql`select owner from consumers where dropped > 0 and owner <> '*'`)).toEqual([])
  })

  test('behavior: an answer that creates its subscription is not sent for less than it was computed for', async () => {
    world = await startDelegating()
    const setFee = async (fee: number) =>
      await transact(
        world.chain,
        { address: world.chain.fee, abi: feeAbi as never },
        { functionName: 'updateFee', args: [fee] },
      )
    await setFee(100)
    const paymentAddress = await fund(world.chain, { spender: nodeAddress, amount: 0n })
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    await world.take(paid(wallet), { door: await world.door({ paymentAddress }) })
    const node = world.ticker({ paymentAddress })
    await world.look(node)
    await world.compute()
    await setFee(4_000)
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'PayoutTooLow', tx: null }])
    const fee = world.chain.fee.toLowerCase()
    world.proxy.setOverride(({ params }) =>
      JSON.stringify(params).toLowerCase().includes(fee)
        ? { error: { code: 3, message: 'execution reverted', data: '0x' } }
        : null,
    )
    await setFee(100)
    world.queue.clock.ms += 60_000
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'fee_unknown', tries: 1 }])
    world.proxy.setOverride(undefined)
    await world.settle(node)
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered' }])
    const balance = await world.chain.deployer.chain.getBalance({ address: paymentAddress })
    expect(balance).toBe((price * 98n) / 100n)
  })
})

describe.for([false, true])('a proof; first deployment: %s', firstDeployment => {
  const proven = async (rest: object = {}) => {
    const { address } = await deploy(world.chain, {
      name: 'AtomicVerifier',
      file: 'Verifiers',
      args: [world.chain.coordinator],
    })
    return await world.sign({ verifier: address, ...rest })
  }

  test('behavior: is not asked of containers that give none', async () => {
    world = await startDelegating({ firstDeployment })
    expect(await world.refusal(await proven())).toBe('unsupported_proof')
    expect(await world.ids()).toEqual([])
  })

  test('behavior: that is rejected at once is told as such: the stake is booked, and nothing is sent again', async () => {
    world = await startDelegating({ firstDeployment, container: { generates_proofs: true } })
    const paymentAddress = await fund(world.chain, { spender: nodeAddress, amount: price })
    const door = await world.door({ paymentAddress })
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    const asking = await proven(paid(wallet))
    await world.take(asking, { door })
    await world.compute()
    const abi = parseAbi(['function setVerdict(bool valid)'])
    const verifier = { address: asking.subscription.verifier as `0x${string}`, abi }
    await transact(world.chain, verifier, { functionName: 'setVerdict', args: [false] })
    await world.settle(world.ticker({ paymentAddress }))
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered', reason: null }])
    const { orm } = world.queue.db
    expect(await orm.all(sql`select subscription, state from proofs`)).toEqual([
      { subscription: 1, state: 'rejected' },
    ])
    expect(await orm.all(sql`select subscription, kind, slashed from ledger`)).toEqual([
      { subscription: 1, kind: 'rejected', slashed: String(price) },
    ])
    expect(await orm.all(sql`select paid, reverted, rejected from consumers where owner <> '*'`)).toEqual([
      { paid: 0, reverted: 0, rejected: 1 },
    ])
  })

  test('default: is asked of the others, and the answer creates the subscription', async () => {
    world = await startDelegating({ firstDeployment, container: { generates_proofs: true } })
    // The node puts up as much as it is paid.
    const paymentAddress = await fund(world.chain, { spender: nodeAddress, amount: price })
    const door = await world.door({ paymentAddress })
    const wallet = await fund(world.chain, { spender: world.consumer.address, amount: price })
    await world.take(await proven(paid(wallet)), { door })
    const [job] = await world.queue.db.orm.all<{ proof: number }>(
      sql`select requires_proof as proof from jobs`,
    )
    expect(job).toEqual({ proof: 1 })
    await world.compute()
    await world.settle(world.ticker({ paymentAddress }))
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered', reason: null }])
    expect(await world.ids()).toEqual([1])
    const proofs = await world.queue.db.orm.all(sql`select subscription, interval, state from proofs`)
    expect(proofs).toEqual([{ subscription: 1, interval: 1, state: 'accepted' }])
  })

  test('behavior: a lazy one is linked as well', async () => {
    world = await startDelegating({ firstDeployment })
    await world.take({ lazy: true })
    await world.compute()
    await world.settle(world.ticker())
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered' }])
  })
})

describe('data', () => {
  const sizes = [2, 64 * 1024, 128 * 1024, 128 * 1024 + 1, 300 * 1024, limits.delegatedDataBytes]
  /** A JSON text of so many bytes, some of them of characters of several bytes. */
  const textOf = (bytes: number) => {
    if (bytes < 64) return '{}'
    const head = '{ "ü€😀" :"'
    return `${head}${'é'.repeat(4)}${'x'.repeat(bytes - Buffer.byteLength(head) - 8 - 2)}"}`
  }

  test('default: is the input of the job, byte for byte, whatever its size', async () => {
    world = await startDelegating()
    for (const size of sizes) {
      const data = textOf(size)
      expect(Buffer.byteLength(data)).toBe(size)
      const { job } = await world.take({}, { data })
      const [row] = await world.queue.db.orm.all<{
        data: string | null
        bytes: number
        count: number
        source: number
      }>(sql`select data, data_bytes as bytes, data_parts as count, source from jobs where id = ${job}`)
      expect(row).toMatchObject({ bytes: size, source: 1 })
      const parts = await world.queue.db.orm.all<{ bytes: ArrayBuffer }>(
        sql`select bytes from parts where job = ${job} and kind = 'data' order by seq`,
      )
      expect(parts).toHaveLength(row?.count ?? -1)
      const stored = Buffer.concat([
        Buffer.from(row?.data ?? ''),
        ...parts.map(({ bytes }) => Buffer.from(bytes)),
      ])
      expect(keccak256(toHex(stored))).toBe(keccak256(toHex(Buffer.from(data))))
    }
    await world.compute()
    await world.settle(world.ticker())
    expect(await world.fulfilled()).toHaveLength(sizes.length)
  })

  test('behavior: large, of every interval of a recurring one', async () => {
    world = await startDelegating()
    const node = world.ticker()
    const active_at = Number((await world.chain.deployer.chain.getBlock()).timestamp)
    const data = textOf(600 * 1024)
    await world.take({ active_at, period: 1_000, frequency: 2 }, { data })
    await world.compute()
    await world.settle(node)
    await world.chain.warp(1_000)
    await world.look(node)
    const rows = await world.queue.db.orm.all<{ bytes: number }>(
      sql`select sum(length(bytes)) as bytes from parts where kind = 'data' group by job`,
    )
    expect(rows).toEqual(Array(2).fill({ bytes: 600 * 1024 }))
  })
})
