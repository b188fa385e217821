import { sql } from 'drizzle-orm'
import { getAbiItem, getAddress, toFunctionSelector, toHex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RpcCall } from '../../../../src/edge/chain/rpc.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { deploy } from '../../../support/chain.ts'
import { type Delegating, signer, startDelegating } from './delegating.ts'

/** What may come between a request and its answer: time, and the consumer's mind. */

let world: Delegating
let node: ChainTick
function startEach(options: { firstDeployment: boolean }): void {
  beforeEach(async () => {
    world = await startDelegating(options)
    node = world.ticker()
  })
  afterEach(async () => await world?.close())
}

const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)
/** The next block comes so much later, and is looked at. */
const pass = async (seconds: number) => {
  await world.chain.warp(seconds)
  await world.look(node)
}
const jobs = async () =>
  await world.queue.db.orm.all<{ state: string; data: string }>(
    sql`select state, data from jobs order by created_at, id`,
  )
const fail = async () =>
  await world.queue.db.orm.run(sql`
    update jobs set state = 'failed', error_code = 'container_error', error_message = 'no', finished_at = 1 where state = 'queued'`)

describe.for([false, true])('a request; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })
  test('behavior: whose time has not come waits for it', async () => {
    const { job, interval } = await world.take({ active_at: (await now()) + 1_000 })
    expect([job, interval]).toEqual([null, 0])
    await pass(900)
    expect(await jobs()).toEqual([])
    await pass(101)
    expect(await jobs()).toMatchObject([{ state: 'queued', data: '{"a":1}' }])
    await world.compute()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
  })

  test('behavior: beside too many whose consumers are silent to ask each alone has tried nothing, and has a turn', async () => {
    const args = [world.chain.registry, signer.address]
    const silent = await deploy(world.chain, { name: 'ChangingDelegator', args })
    const active_at = (await now()) + 100
    const request = await world.sign({ active_at })
    await world.take(request)
    for (let count = 0; count < 14; count++)
      await world.take({ owner: getAddress(silent.address), active_at })
    await world.look(node)
    const creation = toFunctionSelector(
      getAbiItem({ abi: eip712CoordinatorAbi, name: 'createSubscriptionDelegatee' }),
    )
    const asksTheSilent = (call: RpcCall) =>
      [creation, silent.address.slice(2).toLowerCase()].every(part => JSON.stringify(call).includes(part))
    world.proxy.setFault(({ calls }) => (calls.some(asksTheSilent) ? { kind: 'reset' } : null))
    await pass(101)
    const [told] = await world.queue.db.orm.all(
      sql`select reason, tries from subscriptions order by id desc limit 1`,
    )
    expect(told).toEqual({ reason: 'unasked', tries: 0 })
    await pass(6)
    await pass(6)
    expect(await world.compute()).toBe(1)
    world.proxy.setFault(undefined)
    await world.settle(node)
    expect(await world.fulfilled()).toHaveLength(1)
  })

  test('behavior: that expires before anything is begun ends, and says why', async () => {
    const active_at = (await now()) + 100
    await world.take({ active_at, expiry: active_at })
    await pass(101)
    expect(await world.subscriptions()).toMatchObject([{ state: 'ended', reason: 'SignatureExpired' }])
    expect(await jobs()).toEqual([])
    await pass(10_000)
    expect(await world.deliveries()).toEqual([])
  })

  test('behavior: whose owner does not say any more who signs for it is looked at less and less, and given up', async () => {
    const { job } = await world.take({ active_at: (await now()) + 100 })
    expect(job).toBeNull()
    await world.request('anvil_setCode', world.consumer.address, '0x60006000fd')
    await pass(101)
    const pauses: number[] = []
    for (;;) {
      const [row] = await world.queue.db.orm.all<{ due_at: number | null }>(
        sql`select due_at from subscriptions`,
      )
      if (row!.due_at === null) break
      pauses.push(row!.due_at - (await now()))
      await pass(row!.due_at - (await now()))
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, ...Array(16).fill(600)])
    const rows = await world.queue.db.orm.all(sql`select state, reason, message from subscriptions`)
    expect(rows).toEqual([
      {
        state: 'ended',
        reason: expect.any(String),
        message: expect.stringMatching(/^Given up after 24 looks: /),
      },
    ])
    expect(await jobs()).toEqual([])
  })

  test('behavior: that expires while it is computed: nothing is sent', async () => {
    await world.take({ expiry: (await now()) + 100 })
    await world.compute()
    await pass(100)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'too_late', tx: null }])
    expect(await world.fulfilled()).toEqual([])
  })

  test('behavior: that expires on its way: its nonce is taken by a transfer', async () => {
    await world.request('evm_setAutomine', false)
    await world.take({ expiry: (await now()) + 100 })
    await world.compute()
    await world.look(node)
    expect(await world.states()).toEqual(['sending'])
    await world.chain.anvil.dropTransaction({ hash: await lastHash() })
    await pass(101)
    await world.request('evm_setAutomine', true)
    await world.settle(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'too_late' }])
    expect(await world.fulfilled()).toEqual([])
  })

  test('behavior: whose signer has changed before anything is begun', async () => {
    await world.take({ active_at: (await now()) + 100 })
    await world.call('updateSigner', world.consumer.address)
    await pass(101)
    expect(await world.subscriptions()).toMatchObject([{ state: 'ended', reason: 'SignerMismatch' }])
    expect(await jobs()).toEqual([])
  })

  test('behavior: whose signer has changed while it is computed', async () => {
    await world.take()
    await world.call('updateSigner', world.consumer.address)
    await world.compute()
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'SignerMismatch', tx: null }])
  })

  test('behavior: whose nonce was invalidated before anything is begun, or while it is computed', async () => {
    await world.take({ nonce: 1, active_at: (await now()) + 100 })
    await world.take({ nonce: 2 })
    await world.call('invalidate', 1)
    await world.call('invalidate', 2)
    await world.compute()
    await pass(101)
    expect(await world.deliveries()).toMatchObject([
      { state: 'dropped', reason: 'NonceInvalidated', tx: null },
    ])
    // What has met the chain's no is asked for once more.
    await world.look(node)
    const rows = await world.subscriptions()
    expect(rows.map(({ state, reason }) => [state, reason])).toEqual(
      expect.arrayContaining([['ended', 'NonceInvalidated']]),
    )
    expect(rows.every(({ state }) => state === 'ended')).toBe(true)
  })

  test('behavior: whose container fails is over; other data may come in its place, not the same again', async () => {
    const request = await world.sign()
    const { id } = await world.take(request)
    await fail()
    await pass(1)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'container_error' }])
    expect(await world.take(request)).toMatchObject({ id, replayed: true })
    await pass(100)
    expect(await jobs()).toHaveLength(1)
    const other = await world.take(request, { data: '{"a":2}' })
    expect(other).toMatchObject({ replayed: false })
    expect(other.id).not.toBe(id)
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.take(request, { data: '{"a":2}' })).toMatchObject({ id: other.id, subscriptionId: 1 })
  })
})

describe.for([false, true])('a recurring one; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })
  const recurring = async (more: object = {}) => ({
    active_at: await now(),
    period: 1_000,
    frequency: 3,
    ...more,
  })

  test('default: created by its first answer, and answered once in each interval', async () => {
    await world.take(await recurring())
    for (let interval = 1; interval <= 3; interval += 1) {
      expect(await world.compute()).toBe(1)
      await world.settle(node)
      expect(await world.fulfilled()).toEqual(Array(interval).fill(1))
      await pass(1_000)
    }
    await pass(1_000)
    expect(await world.deliveries()).toMatchObject(
      [1, 2, 3].map(interval => ({ subscription: 1, interval, state: 'delivered' })),
    )
    expect(await world.subscriptions()).toMatchObject([{ id: 1, state: 'ended' }])
    expect((await jobs()).map(({ data }) => data)).toEqual(Array(3).fill('{"a":1}'))
  })

  test('behavior: what the consumer gives counts, where it gives something', async () => {
    await world.take(await recurring())
    await world.compute()
    await world.settle(node)
    await world.call('give', toHex('from the chain'))
    await pass(1_000)
    expect((await jobs()).map(({ data }) => data)).toEqual([
      '{"a":1}',
      `"${toHex('from the chain').slice(2)}"`,
    ])
  })

  test('behavior: whose first interval fails is created by the second', async () => {
    await world.take(await recurring())
    await fail()
    await pass(1_000)
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    expect(await world.deliveries()).toMatchObject([
      { interval: 1, state: 'dropped', reason: 'container_error' },
      { interval: 2, state: 'delivered' },
    ])
    expect(await world.ids()).toEqual([1])
  })

  test('behavior: whose containers fail again and again leaves intervals out, created or not', async () => {
    await world.take(await recurring({ frequency: 40 }))
    for (let interval = 1; interval <= 8; interval += 1) {
      await fail()
      await pass(1_000)
    }
    const intervals = async () => (await world.deliveries()).map(({ interval }) => interval)
    expect(await intervals()).toEqual([1, 2, 4, 7])
    expect((await world.subscriptions())[0]).toMatchObject({ state: 'active', reason: 'containers_failing' })
    await pass(3_000)
    await world.compute()
    await world.settle(node)
    expect(await world.ids()).toEqual([1])
    for (let interval = 13; interval <= 17; interval += 1) {
      await pass(1_000)
      await fail()
    }
    expect(await intervals()).toEqual([1, 2, 4, 7, 12, 13, 14, 16])
  })

  test('behavior: whose signature expires goes on where it was created, and only there', async () => {
    const expiry = (await now()) + 500
    await world.take(await recurring({ expiry, nonce: 1 }))
    await world.compute()
    await world.settle(node)
    await world.take(await recurring({ expiry, nonce: 2, active_at: await now() }))
    await fail()
    await pass(1_000)
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1, 1])
    const ended = (await world.subscriptions()).filter(({ state }) => state === 'ended')
    expect(ended).toMatchObject([{ reason: 'SignatureExpired' }])
  })

  test('behavior: created by somebody else while an answer is on its way: its signature expires no more', async () => {
    await world.request('evm_setAutomine', false)
    const request = await world.sign({ redundancy: 2, expiry: (await now()) + 100 })
    await world.take(request)
    await world.compute()
    await world.look(node)
    const hash = await lastHash()
    await world.chain.anvil.dropTransaction({ hash })
    await world.request('evm_setAutomine', true)
    await world.answer(request)
    await world.look(node)
    await pass(200)
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1, 1])
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered' }])
  })
})

async function lastHash() {
  const [raw] = await world.queue.db.orm.all<{ hash: `0x${string}` }>(
    sql`select hash from raws order by created_at desc, seq desc limit 1`,
  )
  if (!raw) throw new Error('Nothing was signed')
  return raw.hash
}
