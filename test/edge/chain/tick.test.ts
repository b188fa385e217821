import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { nodeAddress } from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

let world: Ticking

/** A ticker's own look, as its timer has it. */
const look = async (node: ChainTick, poked = false) => await node.tick({ poked })

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment })
  })

  afterEach(async () => await world?.close())

  describe('a callback', () => {
    test('default: picked up, computed once, and delivered in the block after', async () => {
      const node = world.ticker()
      const id = await world.ask()
      await look(node)
      const [job] = await world.queue.db.orm.all<{ data: string; owner: string; source: number }>(
        sql`select data, owner, source from jobs`,
      )
      expect(job).toEqual({ data: '"78"', owner: `chain:${world.chain.id}`, source: 0 })
      await world.compute()
      await look(node, true)
      expect(await world.fulfilled()).toEqual([id])
      await look(node)
      expect(await world.states()).toEqual(['delivered'])
      const { pending, problem, signer } = node.report()
      expect({ pending, problem, signer }).toMatchObject({
        pending: { computed: 0, sending: 0, left: 0, mined: 1 },
        problem: null,
        signer: { address: nodeAddress, blocked: null },
      })
    })

    test('behavior: many at once go out together, in few transactions where there are batches', async () => {
      const node = world.ticker()
      const ids: number[] = []
      for (let i = 0; i < 12; i++) ids.push(await world.ask())
      await look(node)
      expect(await world.compute()).toBe(12)
      await look(node, true)
      expect(await world.fulfilled()).toEqual(ids)
      const [sent] = await world.queue.db.orm.all<{ n: number }>(sql`select count(*) as n from transactions`)
      if (firstDeployment) expect(sent?.n).toBe(12)
      else expect(sent?.n).toBeLessThan(5)
      await look(node)
      expect(new Set(await world.states())).toEqual(new Set(['delivered']))
    })

    test('behavior: what no endpoint took is sent again, though no block came meanwhile', async () => {
      const node = world.ticker()
      const id = await world.ask()
      await look(node)
      await world.compute()
      world.proxy.setFault(({ calls }) =>
        calls.some(({ method }) => method === 'eth_sendRawTransaction')
          ? { kind: 'status', status: 500 }
          : null,
      )
      await look(node, true)
      expect({ fulfilled: await world.fulfilled(), states: await world.states() }).toEqual({
        fulfilled: [],
        states: ['sending'],
      })
      world.proxy.setFault(() => null)
      await look(node)
      expect(await world.fulfilled()).toEqual([id])
      await look(node)
      expect(await world.states()).toEqual(['delivered'])
      expect(await world.queue.db.orm.all(sql`select nonce from transactions`)).toEqual([{ nonce: 0 }])
    })

    test('behavior: what lies deep enough is final, and its call data is forgotten', async () => {
      const node = world.ticker({ reorgDepth: 5 })
      await world.ask()
      await look(node)
      await world.compute()
      await look(node, true)
      await look(node)
      await world.chain.anvil.mine({ blocks: 6 })
      await look(node)
      expect(await world.states()).toEqual(['final'])
      expect(await world.queue.db.orm.all(sql`select hash from raws`)).toEqual([])
    })
  })

  test('behavior: an idle tick is one request to the chain, and none to the database', async () => {
    const node = world.ticker()
    await world.ask()
    await look(node)
    await world.compute()
    await look(node, true)
    await look(node)
    await world.chain.anvil.mine({ blocks: 1 })
    await look(node)
    world.proxy.takeRequests()
    world.queue.proxy.takeStatements()
    for (let i = 0; i < 3; i++) {
      await look(node)
      await world.chain.anvil.mine({ blocks: 1 })
    }
    expect(world.proxy.takeRequests()).toHaveLength(3)
    expect(world.queue.proxy.takeStatements()).toEqual([])
  })

  describe('reorganisations', () => {
    const kinds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].flatMap(depth => [
      { depth, when: 'by the same ticker', anew: false },
      { depth, when: 'by another one, which remembers nothing', anew: true },
    ])
    test.each(kinds)(
      'a delivery that vanishes with $depth blocks is sent again $when',
      async ({ depth, anew }) => {
        await world.chain.anvil.mine({ blocks: 10 })
        const first = world.ticker()
        const id = await world.ask()
        await world.chain.anvil.mine({ blocks: 10 })
        await look(first)
        await world.compute()
        await look(first, true)
        await world.chain.anvil.mine({ blocks: depth - 1 })
        await look(first)
        expect(await world.fulfilled()).toEqual([id])
        await world.reorganise(depth)
        const node = anew ? world.ticker() : first
        await expect
          .poll(
            async () => {
              await look(node)
              return { fulfilled: await world.fulfilled(), states: await world.states() }
            },
            { timeout: 20_000 },
          )
          .toEqual({ fulfilled: [id], states: ['delivered'] })
        expect(world.events()).toContain('Chain reorganised')
        // It was not computed again.
        expect(await world.queue.db.orm.all(sql`select id from jobs`)).toHaveLength(1)
      },
    )

    test('behavior: a request that vanishes is not answered, and its job is cancelled', async () => {
      await world.chain.anvil.mine({ blocks: 5 })
      const node = world.ticker()
      await world.ask()
      await look(node)
      await world.reorganise(2)
      await look(node)
      await look(node)
      expect(await world.fulfilled()).toEqual([])
      const rows = await world.queue.db.orm.all<{ state: string; reason: string }>(
        sql`select state, reason from subscriptions`,
      )
      expect(rows).toMatchObject([{ state: 'ended', reason: 'vanished' }])
      expect(await world.queue.db.orm.all(sql`select state from jobs`)).toEqual([{ state: 'cancelled' }])
    })

    test('behavior: on a chain that is trailed, what is mined above the block that is believed may vanish, too', async () => {
      await world.chain.anvil.mine({ blocks: 5 })
      const node = world.ticker({ trailHeadBlocks: 3 })
      const id = await world.ask()
      await world.chain.anvil.mine({ blocks: 4 })
      await look(node)
      await world.compute()
      await look(node, true)
      await look(node)
      expect(await world.fulfilled()).toEqual([id])
      await world.reorganise(1)
      await expect
        .poll(async () => {
          await look(node)
          return { fulfilled: await world.fulfilled(), states: await world.states() }
        })
        .toEqual({ fulfilled: [id], states: ['delivered'] })
    })
  })

  test('behavior: an endpoint that lags changes nothing', async () => {
    const node = world.ticker()
    const id = await world.ask()
    await look(node)
    await world.compute()
    await look(node, true)
    await world.chain.anvil.mine({ blocks: 3 })
    await look(node)
    world.proxy.setFault(() => ({ kind: 'stale', blocks: 2 }))
    for (let i = 0; i < 3; i++) await look(node)
    expect(world.events()).not.toContain('Chain reorganised')
    world.proxy.setFault(() => null)
    await look(node)
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.fulfilled()).toEqual([id])
  })

  test('error: what is at the registry’s address is none, and it is looked at again', async () => {
    const node = world.ticker({ registry: nodeAddress })
    const next = await look(node)
    expect(next - Date.now()).toBeGreaterThan(10_000)
    expect(node.report().problem).toContain('no contract at the registry')
  })

  test('error: a database of another coordinator’s subscriptions is left alone', async () => {
    await world.queue.db.orm.run(sql`
      insert into chains (id, coordinator, next_id, head_number, head_hash) values (${world.chain.id}, '0x12', 7, 0, '')`)
    const node = world.ticker()
    await world.ask()
    await look(node)
    expect(node.report().problem).toContain('another coordinator')
    expect(await world.states()).toEqual([])
  })
})
