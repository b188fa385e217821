import { sql } from 'drizzle-orm'
import { type AbiFunction, type Address, encodeErrorResult, type Hex, toFunctionSelector, toHex } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { createdIdCall, highestNonceCall } from '../../../../src/edge/chain/delegated/calls.ts'
import { noLimits, openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { RpcCall } from '../../../../src/edge/chain/rpc.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { readerAbi } from '../../../../src/protocol/abi/reader.ts'
import { deploy, transact } from '../../../support/chain.ts'
import { type Delegating, signer, startDelegating } from './delegating.ts'

/** What others create of what was signed for: each is found, whatever comes between, and without asking for more than may be it. */

/** The chain's time is that of this machine. */
const inAnHour = Math.floor(Date.now() / 1000) + 3_600

let world: Delegating
afterEach(async () => await world?.close())

const selectorOf = (call: RpcCall) =>
  String((call.params[0] as { data?: string } | undefined)?.data).slice(0, 10)
/** How many calls of a kind the chain was asked since it was last looked. */
function counted(): { created: number; highest: number } {
  const { contracts, at } = { contracts: { coordinator: world.chain.coordinator }, at: 'latest' } as const
  const owner = world.chain.coordinator
  const created = selectorOf(createdIdCall({ owner, nonce: 1 }, { contracts, at }))
  const highest = selectorOf(highestNonceCall(owner, { contracts, at }))
  const calls = world.proxy.takeRequests().flatMap(request => request.calls)
  const count = (selector: string) => calls.filter(call => selectorOf(call) === selector).length
  return { created: count(created), highest: count(highest) }
}

describe.for([false, true])('what others have created; first deployment: %s', firstDeployment => {
  test('default: of an owner with many that wait only those are asked for that may be it', async () => {
    world = await startDelegating({ firstDeployment })
    const later = { active_at: inAnHour }
    for (let nonce = 1; nonce <= 20; nonce += 1) await world.take({ ...later, nonce })
    const node = world.ticker()
    await world.look(node)
    counted()
    await world.create(await world.sign({ ...later, nonce: 1 }))
    await world.look(node)
    expect(counted()).toEqual({ created: 1, highest: 1 })
    await world.create(await world.sign({ ...later, nonce: 3 }))
    await world.look(node)
    expect(counted()).toEqual({ created: 2, highest: 1 })
    expect((await world.ids()).filter(id => id > 0)).toEqual([1, 2])
    expect((await world.subscriptions()).filter(({ id }) => id > 0)).toHaveLength(2)
  })

  test('behavior: an owner for whom nothing waits is not asked for', async () => {
    world = await startDelegating({ firstDeployment })
    await world.take()
    const node = world.ticker()
    await world.look(node)
    counted()
    await world.ask()
    await world.look(node)
    expect(counted()).toEqual({ created: 0, highest: 0 })
  })

  test('behavior: one that could not be read when it was new is found when it can', async () => {
    world = await startDelegating({ firstDeployment })
    const node = world.ticker()
    const request = await world.sign({ redundancy: 2 })
    await world.take(request)
    await world.call('give', toHex('input'))
    await world.look(node)
    await world.answer(request)
    world.proxy.setOverride(call => (readings.has(selectorOf(call) as Hex) ? { result: '0x' } : null))
    await world.look(node)
    expect(await world.subscriptions()).toContainEqual({ id: 1, state: 'active', reason: 'unreadable' })
    world.proxy.setOverride(() => null)
    await world.chain.warp(10)
    await world.look(node)
    expect(await world.ids()).toEqual([1])
    await expectOnce(node)
  })

  test('behavior: one that is taken on between the look for it and the write is found all the same', async () => {
    world = await startDelegating({ firstDeployment })
    await world.take({ nonce: 2, active_at: inAnHour })
    await world.call('give', toHex('input'))
    const request = await world.sign({ nonce: 3, redundancy: 2 })
    const [verified, stores, looked] = [gated(), gated(), gated()]
    const door = await world.door()
    const { rpc } = door.chain
    door.chain = {
      ...door.chain,
      rpc: {
        ...rpc,
        async send(calls, anchor) {
          const answers = await rpc.send(calls, anchor)
          verified.open()
          await stores.passed
          return answers
        },
      },
    }
    const node = world.ticker({
      async gate(what, step) {
        const result = await step()
        if (what !== 'send' || counted().created === 0) return result
        stores.open()
        await looked.passed
        return result
      },
    })
    counted()
    await world.look(node)
    const taking = world.take(request, { door })
    await verified.passed
    await world.answer(request)
    counted()
    const looking = world.look(node)
    expect(await taking).toMatchObject({ subscriptionId: null })
    looked.open()
    await looking
    expect(await world.ids()).toEqual([expect.any(Number), 1])
    await expectOnce(node)
  })

  /** Somebody creates it once it is computed, and the node's looks for what was created are behind the newest block. */
  async function createdLate({ owner }: { owner: Address }) {
    const changed = { guard: { ...openGuard, limits: { ...noLimits, dropped: 1 } }, trailHeadBlocks: 3 }
    const door = await world.door(changed)
    const node = world.ticker(changed)
    const request = await world.sign({ owner })
    await world.take(request, { door })
    expect(await world.compute()).toBe(1)
    return { node, door, request }
  }

  test('behavior: one that was created meanwhile, and whose consumer takes no answer in the coordinator’s own words, is counted to it', async () => {
    world = await startDelegating({ firstDeployment })
    const args = [world.chain.registry, signer.address]
    const forging = await deploy(world.chain, { name: 'ForgingDelegator', file: 'OddConsumers', args })
    const data = encodeErrorResult({ abi: eip712CoordinatorAbi, errorName: 'IntervalCompleted' })
    await transact(world.chain, forging, { functionName: 'forge', args: [data] })
    const { node, door, request } = await createdLate({ owner: forging.address })
    await world.create(request)
    for (let tried = 0; tried < 3; tried += 1) {
      await world.look(node)
      world.queue.clock.ms += 60_000
    }
    expect((await world.ids()).filter(id => id > 0)).toEqual([])
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'reverted' }])
    expect(await world.refusal({ owner: forging.address }, { door })).toBe('consumer_limit')
  })

  test('behavior: one that was created and answered meanwhile is dropped at once, and is nobody’s fault', async () => {
    world = await startDelegating({ firstDeployment })
    const { node, door, request } = await createdLate({ owner: world.consumer.address })
    await world.answer(request)
    await world.look(node)
    expect((await world.ids()).filter(id => id > 0)).toEqual([])
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'IntervalCompleted' }])
    expect(await world.refusal({}, { door })).toBeNull()
  })

  async function expectOnce(node: ChainTick): Promise<void> {
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'computing' }])
    await world.compute()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1, 1])
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'delivered' }])
  }
})

describe('bounded', () => {
  test('behavior: owners with many that may be it are looked at one after the other, and no new subscription before its owner was', async () => {
    world = await startDelegating()
    const node = world.ticker()
    const request = await world.sign({ nonce: 1_000, redundancy: 2 })
    await world.take(request)
    await world.look(node)
    const { orm } = world.queue.db
    // As many as one look asks for, of two owners: that of the request, and one that comes after it.
    const [own] = await orm.all<{ place: number; owner: string }>(sql`select place, owner from delegations`)
    await fillWaiting(own!.place, 600)
    const second = await deploy(world.chain, {
      name: 'ChangingDelegator',
      args: [world.chain.registry, signer.address],
    })
    const other = await world.sign({ nonce: 1_000, owner: second.address, redundancy: 2 })
    await world.take(other)
    const [last] = await orm.all<{ place: number }>(
      sql`select place from delegations where owner = ${second.address.toLowerCase()}`,
    )
    await fillWaiting(last!.place, 600)
    await world.create(request)
    await world.create(other)
    counted()
    await world.look(node)
    expect(counted()).toEqual({ created: 1_202, highest: 3 })
    expect((await world.ids()).filter(id => id > 0)).toEqual([1, 2])
    expect(await world.deliveries()).toMatchObject([
      { subscription: 1, state: 'computing' },
      { subscription: 2, state: 'computing' },
    ])
  })
})

/** So many more like it wait, with lower nonces. */
async function fillWaiting(place: number, count: number): Promise<void> {
  const { orm } = world.queue.db
  const n = sql`(with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count}) select i from n) as n`
  await orm.run(sql`
    insert into delegations (place, id, chain, owner, nonce, subscription, expiry, v, r, s, digest, data_signed, data_bytes, fingerprint, created_at, data)
    select place + i, 'more-' || (place + i), chain, owner, i, -(place + i), expiry, v, r, s, digest, data_signed, data_bytes, fingerprint, 0, data
    from delegations, ${n} where place = ${place}`)
  await orm.run(sql`
    insert into subscriptions (chain, id, state, due_at, seen_block, seen_hash, created_at, owner, active_at, period, frequency, redundancy,
      container_id, lazy, verifier, payment_amount, payment_token, wallet)
    select chain, id - i, 'active', 4e9, 0, '0x', 0, owner, active_at, period, frequency, redundancy, container_id, lazy, verifier, payment_amount,
      payment_token, wallet
    from subscriptions, ${n} where id = ${-place}`)
}

const readings = new Set(
  ['readStatusBatch', 'readSubscriptionBatch', 'getSubscription'].map(name =>
    toFunctionSelector(
      [...readerAbi, ...eip712CoordinatorAbi].find(
        item => item.type === 'function' && item.name === name,
      ) as AbiFunction,
    ),
  ),
)

function gated(): { open(): void; passed: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { open: resolve, passed: promise }
}
