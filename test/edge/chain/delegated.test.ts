import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Delegating, startDelegating } from './delegating.ts'

let world: Delegating
beforeEach(async () => {
  world = await startDelegating()
}, 60_000)
afterEach(async () => await world?.close())

describe('a callback', () => {
  test('default: computed at once, created and answered in one transaction', async () => {
    const taken = await world.take()
    expect(taken).toMatchObject({ subscriptionId: null, interval: 1, replayed: false })
    expect(taken.job).not.toBeNull()
    expect(await world.compute()).toBe(1)
    const node = world.ticker()
    await world.look(node)
    await world.mine()
    await world.look(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.ids()).toEqual([1])
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'delivered' }])
    await world.mine(3)
    await world.look(node, 3)
    expect(await world.compute()).toBe(0)
    expect(await world.fulfilled()).toEqual([1])
  })
})
