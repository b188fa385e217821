import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** A nonce with which something else was signed as well: whatever the chain creates first is what it stands for. */

let world: Delegating
let node: ChainTick
beforeEach(async () => {
  world = await startDelegating()
  node = world.ticker()
})
afterEach(async () => await world?.close())

const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)
const jobs = async () =>
  (await world.queue.db.orm.all<{ state: string }>(sql`select state from jobs order by created_at, id`)).map(
    ({ state }) => state,
  )

describe('a nonce that has created something else', () => {
  const others = { redundancy: { redundancy: 2 }, 'active at': { active_at: 1, redundancy: 1 } }

  test.for(Object.entries(others))(
    'behavior: differing in %s, while it is computed: it ends',
    async ([, other]) => {
      await world.take({ nonce: 5 })
      expect(await world.create(await world.sign({ nonce: 5, ...other }))).toBe(1)
      await world.look(node)
      const [mine, theirs] = await world.subscriptions()
      expect(mine).toMatchObject({ state: 'ended', reason: 'nonce_used' })
      expect(theirs).toMatchObject({ id: 1 })
      expect((await world.deliveries()).filter(({ subscription }) => subscription < 0)).toMatchObject([
        { state: 'dropped', reason: 'nonce_used' },
      ])
      expect((await jobs())[0]).toBe('cancelled')
      expect(await world.ids()).toEqual([expect.any(Number)])
      expect((await world.ids())[0]).toBeLessThan(0)
    },
  )

  test('behavior: while it is on its way: it answers nothing else', async () => {
    await world.request('evm_setAutomine', false)
    const request = await world.sign({ nonce: 5 })
    await world.take(request)
    await world.compute()
    await world.look(node)
    expect(await world.states()).toEqual(['sending'])
    const [raw] = await world.queue.db.orm.all<{ hash: `0x${string}` }>(sql`select hash from raws`)
    await world.chain.anvil.dropTransaction({ hash: raw!.hash })
    await world.request('evm_setAutomine', true)
    await world.create(await world.sign({ nonce: 5, redundancy: 2 }))
    await world.look(node)
    await world.mine(4)
    await world.look(node, 2)
    expect(await world.fulfilled()).toEqual([])
    expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'nonce_used' })
    expect(await world.refusal(request)).toBeNull()
    expect(await world.refusal(request, { data: '{"a":2}' })).toBe('nonce_used')
  })

  test('behavior: before anything is begun: it ends, and begins again when that is undone', async () => {
    const active_at = (await now()) + 1_000
    await world.take({ nonce: 5, active_at })
    await world.mine(3)
    await world.create(await world.sign({ nonce: 5, redundancy: 2 }))
    await world.look(node)
    expect((await world.subscriptions())[0]).toMatchObject({ state: 'ended', reason: 'nonce_used' })
    await world.reorganise(1)
    await world.chain.warp(1_001)
    await world.look(node)
    expect(await jobs()).toContain('queued')
    await world.compute()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.ids()).toEqual([1])
  })
})
