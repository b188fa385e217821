import { sql } from 'drizzle-orm'
import { toHex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { createSubscription, deploy } from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

/**
 * Reorganisations of blocks that are in the journal, and that a ticker has not got to the end of: what it remembers itself is older, and is still
 * there.
 */

let world: Ticking

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment })
    await world.mine(5)
  })
  afterEach(async () => await world?.close())

  const addressee = (call: unknown) => (call as { to?: string } | undefined)?.to?.toLowerCase()

  /** A ticker's own look, as its timer has it; poked, it reads what there is to do first. */
  const look = async (node: ChainTick, poked = false) => await node.tick({ poked })

  const subscriptions = async () =>
    await world.queue.db.orm.all(sql`select id, state, reason from subscriptions order by id`)

  test.for([true, false])(
    'behavior: another one has been there; somebody else has the id by then: %s',
    async isTaken => {
      const [here, there] = [world.ticker(), world.ticker()]
      const consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
      await look(here, true)
      const id = await world.ask()
      await look(there, true)
      expect(await world.compute()).toBe(1)
      await world.reorganise(1)
      if (isTaken) expect(await createSubscription(world.chain, consumer)).toBe(id)
      else await world.mine()
      await look(here, true)
      expect(world.events()).not.toContain('Tick failed')
      // What was computed was for what is gone.
      expect(await world.fulfilled()).toEqual([])
      if (!isTaken) expect(await subscriptions()).toEqual([{ id, state: 'ended', reason: 'vanished' }])
      expect(await world.compute()).toBe(isTaken ? 1 : 0)
      for (let looks = 0; looks < 2; looks++) {
        await world.mine()
        await look(here, true)
      }
      expect(await world.fulfilled()).toEqual(isTaken ? [id] : [])
    },
  )

  test('behavior: another one has been there since this one has read what there is to do: it compares first', async () => {
    const [here, there] = [world.ticker(), world.ticker()]
    const consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
    await look(here, true)
    const id = await world.ask()
    await look(there, true)
    await world.reorganise(1)
    expect(await createSubscription(world.chain, consumer)).toBe(id)
    world.lines.length = 0
    expect(await look(here)).toBeLessThanOrEqual(Date.now())
    expect(world.events()).toEqual([])
    await look(here)
    expect(world.events()[0]).toBe('Chain reorganised')
    expect(await world.queue.db.orm.all(sql`select state from jobs order by created_at, id`)).toEqual([
      { state: 'cancelled' },
      { state: 'queued' },
    ])
  })

  test('behavior: an endpoint that has not got there is waited for', async () => {
    let time = Date.now()
    const [here, there] = [world.ticker({ now: () => time }), world.ticker()]
    await look(here, true)
    const id = await world.ask()
    await look(there, true)
    await world.compute()
    world.proxy.setFault(() => ({ kind: 'stale', blocks: 1 }))
    for (let minutes = 0; minutes < 9; minutes++) {
      await look(here, true)
      time += 60_000
    }
    expect(here.report().problem).toMatch(/^The chain is at block \d+, and was further$/)
    expect(world.events()).not.toContain('Chain reorganised')
    expect(world.events()).not.toContain('Tick failed')
    world.proxy.setFault(() => null)
    await look(here, true)
    await expect.poll(world.fulfilled).toEqual([id])
    expect(here.report().problem).toBe(null)
  })

  test('behavior: a chain that stays shorter than another one has found it is believed at last', async () => {
    let time = Date.now()
    const [here, there] = [world.ticker({ now: () => time }), world.ticker()]
    await look(here, true)
    const id = await world.ask()
    await look(there, true)
    world.proxy.setFault(() => ({ kind: 'stale', blocks: 1 }))
    await look(here, true)
    time += 600_000
    await look(here, true)
    expect(world.events()).toContain('Chain reorganised')
    expect(await subscriptions()).toEqual([{ id, state: 'ended', reason: 'vanished' }])
  })

  test('behavior: another one, which did not know of it, has been at a later block', async () => {
    const node = world.ticker()
    const id = await world.ask()
    await look(node, true)
    await world.reorganise(1)
    await world.mine()
    const { number, hash } = await world.chain.deployer.chain.getBlock()
    await world.queue.db.orm.run(
      sql`insert into chain_blocks (chain, number, hash) values (${world.chain.id}, ${Number(number)}, ${hash})`,
    )
    await look(node, true)
    expect(await subscriptions()).toEqual([{ id, state: 'ended', reason: 'vanished' }])
  })

  test('behavior: another one, which did not know of it, has been at many later blocks', async () => {
    const node = world.ticker()
    const id = await world.ask()
    await look(node, true)
    await world.reorganise(1)
    await world.mine(50)
    const { chain } = world.chain.deployer
    const head = await chain.getBlockNumber({ cacheTime: 0 })
    for (let number = head - 49n; number <= head; number++) {
      const { hash } = await chain.getBlock({ blockNumber: number })
      await world.queue.db.orm.run(
        sql`insert into chain_blocks (chain, number, hash) values (${world.chain.id}, ${Number(number)}, ${hash})`,
      )
    }
    await look(node, true)
    expect(await subscriptions()).toEqual([{ id, state: 'ended', reason: 'vanished' }])
  })

  test('behavior: a fork that is deeper than all that one request compares', async () => {
    const node = world.ticker()
    const id = await world.ask()
    await look(node, true)
    const ids: number[] = []
    for (let block = 0; block < 40; block++) {
      ids.push(await world.ask())
      await look(node, true)
    }
    await world.reorganise(40)
    await look(node, true)
    expect(await subscriptions()).toEqual([
      { id, state: 'ended', reason: 'begun' },
      ...ids.map(each => ({ id: each, state: 'ended', reason: 'vanished' })),
    ])
  })

  test('behavior: another one has been at the other block of this height while this one looked', async () => {
    let height: number | null = null
    let hasHead = false
    const node = world.ticker({
      async gate(what, step) {
        hasHead ||= height !== null && what === 'send'
        if (hasHead && what === 'db')
          await world.queue.db.orm.run(sql`
          insert into chain_blocks (chain, number, hash) values (${world.chain.id}, ${height}, ${toHex(7, { size: 32 })})
          on conflict (chain, number) do nothing`)
        return await step()
      },
    })
    await look(node, true)
    await world.ask()
    height = Number(await world.chain.deployer.chain.getBlockNumber({ cacheTime: 0 }))
    await look(node, true)
    hasHead = false
    height = null
    expect(world.events()).not.toContain('Chain reorganised')
    expect(await subscriptions()).toMatchObject([{ reason: 'begun' }])
    await world.mine()
    await look(node, true)
    expect(world.events()).toContain('Chain reorganised')
    expect(world.events()).not.toContain('Tick failed')
    expect(await world.compute()).toBe(1)
  })

  test('behavior: it has failed there, after it had written down what was mined', async () => {
    const node = world.ticker()
    const id = await world.ask()
    await look(node, true)
    await world.compute()
    await look(node, true)
    await expect.poll(world.fulfilled).toEqual([id])
    await world.ask()
    // From when it reads what is new: before that it has written down what was mined.
    let isSilent = false
    world.proxy.setFault(({ calls }) => {
      isSilent ||= calls.some(({ params: [call] }) => addressee(call) === world.chain.reader.toLowerCase())
      return isSilent ? { kind: 'status', status: 500 } : null
    })
    await look(node, true)
    expect(world.events()).toContain('Tick failed')
    expect(await world.states()).toEqual(['delivered'])
    world.proxy.setFault(() => null)
    await world.reorganise(2)
    await world.mine()
    await expect
      .poll(async () => {
        await look(node, true)
        return { fulfilled: await world.fulfilled(), states: await world.states() }
      })
      .toEqual({ fulfilled: [id], states: ['delivered'] })
  })
})
