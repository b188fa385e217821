import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { type Contract, createSubscription, deploy } from '../../support/chain.ts'
import { silentAbout } from './silent-about.ts'
import { startTicking, type Ticking } from './ticking.ts'

/**
 * Consumers that take all the gas they are given, beside others, before a node for which that is too much: whatever request holds one of
 * these is not answered.
 */

const good = 13
const timeoutMs = 1_000

let world: Ticking
let node: ChainTick
let consumer: Contract
let burning: ReadonlySet<number>

async function ask(count: number): Promise<number[]> {
  const ids: number[] = []
  for (let i = 0; i < count; i++) ids.push(await createSubscription(world.chain, consumer))
  return ids
}

const reasons = async () =>
  await world.queue.db.orm.all<{ id: number; reason: string | null; tries: number }>(
    sql`select id, reason, tries from subscriptions where reason is not null and state = 'active' order by id`,
  )
const begun = async () =>
  (
    await world.queue.db.orm.all<{ id: number }>(
      sql`select subscription as id from deliveries order by subscription`,
    )
  ).map(({ id }) => id)

describe.each([false, true])('first deployment: %s', firstDeployment => {
  let all: number[]
  let others: number[]

  beforeEach(async () => {
    world = await startTicking({ firstDeployment, timeoutMs })
    consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
    node = world.ticker()
    all = await ask(good + 3)
    burning = new Set([all[3]!, all[9]!, all.at(-1)!])
    others = all.filter(id => !burning.has(id))
    for (const id of all)
      await world.chain.deployer.wallet.writeContract({
        ...consumer,
        functionName: 'give',
        args: [id, '0x12'],
      })
    await world.mine()
  })
  afterEach(async () => await world?.close())

  test('behavior: that are asked for their inputs: the others are begun in this tick', async () => {
    world.proxy.setFault(silentAbout([...burning], 'inputs'))
    world.proxy.takeRequests()
    await world.look(node)
    expect(await begun()).toEqual(others)
    const told = firstDeployment ? 'no_input' : 'unreadable'
    expect((await reasons()).map(({ id, reason }) => ({ id, reason }))).toEqual(
      [...burning].map(id => ({ id, reason: told })),
    )
    expect(world.proxy.takeRequests().length).toBeLessThan(120)
    world.proxy.setFault(() => null)
    await world.chain.warp(20)
    await world.look(node)
    expect(await begun()).toEqual(all)
  })

  test('behavior: in the trial before anything is computed: the others are begun in this tick, and they wait', async () => {
    world.proxy.setFault(silentAbout([...burning], 'trial'))
    await world.look(node)
    expect(await begun()).toEqual(others)
    expect(await reasons()).toEqual([...burning].map(id => ({ id, reason: 'silent', tries: 1 })))
    await world.look(node)
    // Not looked at again before their time.
    expect((await reasons()).map(({ tries }) => tries)).toEqual([1, 1, 1])
    world.proxy.takeRequests()
    await world.chain.warp(6)
    await world.look(node)
    expect((await reasons()).map(({ tries }) => tries)).toEqual([2, 2, 2])
    expect(world.proxy.takeRequests().length).toBeLessThan(30)
    world.proxy.setFault(() => null)
    await world.chain.warp(20)
    await world.look(node)
    expect(await begun()).toEqual(all)
  })

  test('behavior: many one after the other, before the only endpoint: they hold up nobody', async () => {
    const many = await ask(24)
    world.proxy.setFault(silentAbout(many, 'trial'))
    await world.look(node, 2)
    expect(await begun()).toEqual(all)
    const told = (await reasons()).filter(({ id }) => many.includes(id))
    expect(told).toHaveLength(many.length)
    // Some there was no time for, to ask them alone.
    expect(new Set(told.map(({ reason }) => reason))).toEqual(new Set(['silent', 'unasked']))
  })

  test('behavior: in the trial, too many to ask each alone: whoever shares a request with them has tried nothing, and has a turn', async () => {
    await world.look(node)
    const many = await ask(29)
    const [honest] = (await ask(1)) as [number]
    world.proxy.setFault(silentAbout(many, 'trial', { kind: 'reset' }))
    await world.look(node)
    const told = async () => (await reasons()).find(({ id }) => id === honest)
    expect(await told()).toEqual({ id: honest, reason: 'unasked', tries: 0 })
    // Those that were asked alone wait for longer each time.
    for (let looks = 0; looks < 2; looks++) {
      await world.chain.warp(6)
      await world.look(node)
    }
    expect(await begun()).toEqual([...all, honest])
  })

  test('behavior: when they are answered: the others are delivered in this tick, and they are given up after ten tries', async () => {
    await world.look(node)
    await world.compute()
    world.proxy.setFault(silentAbout([...burning], 'estimate'))
    await world.look(node)
    expect(await world.fulfilled()).toEqual(others)
    const left = async () =>
      (await world.deliveries()).filter(({ subscription }) => burning.has(subscription))
    expect(await left()).toMatchObject(
      [...burning].map(() => ({ state: 'computed', reason: 'silent', tries: 1 })),
    )
    await world.queue.db.orm.run(
      sql`update deliveries set tries = 8, not_before = 0 where state = 'computed'`,
    )
    await world.look(node)
    expect(await left()).toMatchObject([...burning].map(() => ({ state: 'computed', tries: 9 })))
    await world.queue.db.orm.run(sql`update deliveries set not_before = 0 where state = 'computed'`)
    await world.look(node)
    expect(await left()).toMatchObject([...burning].map(() => ({ state: 'dropped', reason: 'silent' })))
    expect(node.report().problem).toBeNull()
  })

  test('behavior: one alone: what is silent is the endpoint only if it answers nothing else', async () => {
    const [only] = burning
    await world.look(node)
    await world.compute()
    await world.queue.db.orm.run(sql`update deliveries set not_before = 9e15 where subscription <> ${only}`)
    world.proxy.setFault(() => ({ kind: 'hang' }))
    await world.look(node)
    expect(node.report().problem).toContain('No endpoint')
    const mine = async () => (await world.deliveries()).filter(({ subscription }) => subscription === only)
    expect(await mine()).toMatchObject([{ state: 'computed', reason: null, tries: 0 }])
    world.proxy.setFault(silentAbout([only!], 'estimate'))
    await expect
      .poll(async () => {
        await world.look(node)
        return await mine()
      })
      .toMatchObject([{ state: 'computed', reason: 'silent', tries: 1 }])
    expect(node.report().problem).toBeNull()
  })
})
