import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { type Delegating, startDelegating } from './delegating.ts'

/** An answer that creates its subscription, mined by a transaction that had it no more: it is known by what was signed. */

let world: Delegating
afterEach(async () => await world?.close())

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: mined and failed, undone, and then mined and taken: it is delivered', async () => {
    world = await startDelegating({ firstDeployment })
    const { consumer, queue } = world
    const node = world.ticker()
    await world.look(node)
    await world.take()
    expect(await world.compute()).toBe(1)
    const before = await world.request('evm_snapshot')
    await world.request('evm_setAutomine', false)
    await world.look(node)
    expect(await world.states()).toEqual(['sending'])
    // Nobody says by then who signs for the consumer.
    await world.request('anvil_setCode', consumer.address, '0x')
    await world.mine()
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', tx: null, reason: 'reverted' }])
    const [sent] = await queue.db.orm.all<{ raw: Hex }>(sql`select raw from raws`)
    await world.request('evm_revert', before)
    await world.request('evm_setAutomine', false)
    await world.request('eth_sendRawTransaction', sent?.raw)
    await world.mine(3)
    expect(await world.fulfilled()).toEqual([1])
    await world.look(node, 2)
    expect(await world.deliveries()).toMatchObject([
      { interval: 1, state: 'delivered', tx: expect.any(String), reason: null },
    ])
    expect(await world.ids()).toEqual([1])
    expect(await queue.db.orm.all(sql`select kind, subscription from ledger`)).toEqual([
      { kind: 'answer', subscription: 1 },
    ])
    expect(await queue.db.orm.all(sql`select state from transactions`)).toEqual([{ state: 'mined' }])
  })

  test('behavior: given up, as its receipt is not told for long: it is delivered once it is', async () => {
    world = await startDelegating({ firstDeployment })
    const { queue, proxy } = world
    const node = world.ticker()
    await world.look(node)
    await world.take(await world.sign({ redundancy: 2 }))
    expect(await world.compute()).toBe(1)
    await world.look(node)
    proxy.setOverride(({ method }) => (method === 'eth_getTransactionReceipt' ? { result: null } : null))
    for (let block = 0; block < 4; block++) {
      await world.mine()
      await world.look(node)
      queue.clock.ms += 10_000
    }
    const states = () => queue.db.orm.all(sql`select state from transactions`)
    expect(await states()).toEqual([{ state: 'displaced' }])
    expect(await world.states()).toEqual(['dropped'])
    proxy.setOverride(() => null)
    await world.mine()
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'delivered' }])
    expect(await states()).toEqual([{ state: 'mined' }])
    expect(await world.ids()).toEqual([1])
    expect(
      await queue.db.orm.all(sql`select kind, subscription, consumer is not null as known from ledger`),
    ).toEqual([{ kind: 'answer', subscription: 1, known: 1 }])
    await world.mine(2)
    await world.look(node, 2)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.compute()).toBe(0)
  })
})
