import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { toDelegation } from '../../../../src/protocol/delegation.ts'
import { digestOf } from '../../../../src/protocol/typed-data.ts'
import { deploy } from '../../../support/chain.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** A callback that was signed for, from the door to the chain: over both deployments of the contracts. */

describe.for([false, true])('a callback; first deployment: %s', firstDeployment => {
  let world: Delegating
  beforeEach(async () => {
    world = await startDelegating({ firstDeployment })
  })
  afterEach(async () => await world?.close())

  test('default: computed at once, created and answered in one transaction', async () => {
    const taken = await world.take()
    expect(taken).toMatchObject({ subscriptionId: null, interval: 1, replayed: false })
    expect(taken.job).not.toBeNull()
    expect(await world.compute()).toBe(1)
    const node = world.ticker()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.ids()).toEqual([1])
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'delivered' }])
    await world.settle(node)
    expect(await world.compute()).toBe(0)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.subscriptions()).toMatchObject([{ id: 1, state: 'ended' }])
  })

  test('behavior: the same again is answered the same, before and after it is created', async () => {
    const request = await world.sign()
    const { id, job } = await world.take(request)
    expect(await world.take(request)).toMatchObject({ id, job, subscriptionId: null, replayed: true })
    expect(await world.compute()).toBe(1)
    await world.settle(world.ticker())
    expect(await world.take(request)).toMatchObject({ id, job, subscriptionId: 1, replayed: true })
    expect(await world.refusal(request, { data: '{"a":2}' })).toBe('data_conflict')
    expect(await world.compute()).toBe(0)
  })

  test('behavior: created by somebody else before it came: it is answered, once', async () => {
    const request = await world.sign({ redundancy: 2 })
    await world.answer(request)
    const { id } = await world.take(request)
    const node = world.ticker()
    await world.look(node, 2)
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1, 1])
    expect(await world.take(request)).toMatchObject({ id, subscriptionId: 1, replayed: true })
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered' }])
  })

  test('behavior: created by somebody else while it is computed: it is answered under the id that it has', async () => {
    const request = await world.sign({ redundancy: 2 })
    const { job } = await world.take(request)
    await world.answer(request)
    const node = world.ticker()
    await world.look(node)
    expect(await world.ids()).toEqual([1])
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1, 1])
    expect(await world.take(request)).toMatchObject({ job, subscriptionId: 1 })
  })

  test('behavior: answered in full by somebody else: nothing is sent, and it is told why', async () => {
    const request = await world.sign()
    await world.take(request)
    await world.answer(request)
    const node = world.ticker()
    await world.look(node)
    await world.compute()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.deliveries()).toMatchObject([
      { subscription: 1, state: 'dropped', reason: expect.stringMatching(/Completed/), tx: null },
    ])
  })

  test('behavior: signed as a contract accepts it', async () => {
    const { address } = await deploy(world.chain, { name: 'DigestSigner', file: 'DelegationProbe' })
    await world.call('updateSigner', address)
    const { subscription, signature, ...rest } = await world.sign()
    const { id: chainId, coordinator } = world.chain
    // What begins with the digest.
    const r = digestOf({ chainId, coordinator }, toDelegation(subscription, signature))
    await world.take({ ...rest, subscription, signature: { ...signature, r, v: 99 } })
    await world.compute()
    await world.settle(world.ticker())
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered' }])
  })
})
