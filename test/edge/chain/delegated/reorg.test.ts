import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import type { DelegatedRequest } from '../../../../src/protocol/delegated.ts'
import { delegationKey } from '../../../../src/protocol/delegation.ts'
import { nodeAddress } from '../../../support/chain.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** Reorganisations of a real chain that undo that a delegated subscription was created: each ends answered once, under the id that it has. */

let world: Delegating
function startEach(options: { firstDeployment: boolean }): void {
  beforeEach(async () => {
    world = await startDelegating(options)
    // So that no contract is lost.
    await world.mine(12)
  })
  afterEach(async () => await world?.close())
}

/** Each on ours; on the first deployments, which differ in what the chain tells and not in how it is undone, some. */
const depthsOf = (firstDeployment: boolean) =>
  firstDeployment ? [1, 2, 6, 10] : [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)

async function createdId({
  subscription: { owner },
  signature: { nonce },
}: DelegatedRequest): Promise<number> {
  return await world.chain.deployer.chain.readContract({
    address: world.chain.coordinator,
    abi: eip712CoordinatorAbi,
    functionName: 'delegateCreatedIds',
    args: [delegationKey(owner, nonce)],
  })
}

/** That it was computed once, and by now is answered once by the node, and so many times by others, under the chain's own id. */
async function expectOnce(request: DelegatedRequest, { others = 0 } = {}): Promise<void> {
  const id = await createdId(request)
  expect(id).toBeGreaterThan(0)
  expect((await world.fulfilled()).filter(each => each === id)).toEqual(Array(1 + others).fill(id))
  const rows = await world.queue.db.orm.all<{
    subscription: number
    state: string
    reason: string | null
  }>(sql`
    select deliveries.subscription, state, reason from deliveries join delegations
      on delegations.chain = deliveries.chain and delegations.subscription = deliveries.subscription where interval = 1
        and owner = ${request.subscription.owner} and nonce = ${request.signature.nonce}`)
  expect(rows).toEqual([{ subscription: id, state: 'delivered', reason: null }])
}

async function expectJobs(count: number): Promise<void> {
  const [row] = await world.queue.db.orm.all<{ n: number }>(sql`select count(*) as n from jobs`)
  expect(row?.n).toBe(count)
}

describe.for([false, true])(
  'what the node has created and answered; first deployment: %s',
  firstDeployment => {
    startEach({ firstDeployment })

    test.for(depthsOf(firstDeployment))('behavior: is created and answered again; %s deep', async depth => {
      const node = world.ticker()
      const request = await world.sign()
      await world.take(request)
      await world.compute()
      await world.look(node)
      // anvil mines what it was sent a moment after it has said that it took it.
      await expect.poll(() => world.fulfilled()).toEqual([1])
      await world.mine(depth - 1)
      await world.look(node)
      expect(await world.ids()).toEqual([depth === 1 ? expect.any(Number) : 1])
      await world.reorganise(depth)
      await world.settle(node)
      await expectOnce(request)
      await expectJobs(1)
    })

    test.for([false, true])(
      'behavior: under another id, since somebody else has that one; looked at between: %s',
      async between => {
        const node = world.ticker()
        const request = await world.sign()
        await world.take(request)
        await world.compute()
        await world.look(node)
        await world.mine(2)
        await world.look(node)
        expect(await world.ids()).toEqual([1])
        await world.reorganise(4)
        if (between) await world.look(node)
        await world.request('anvil_dropAllTransactions')
        expect(await world.ask()).toBe(1)
        await world.settle(node)
        expect(await createdId(request)).toBe(2)
        expect(await world.compute()).toBe(1)
        await world.settle(node)
        await expectOnce(request)
        expect(await world.fulfilled()).toEqual([1, 2])
        await expectJobs(2)
      },
    )

    test('behavior: under the id that somebody else had', async () => {
      const node = world.ticker()
      expect(await world.ask()).toBe(1)
      await world.look(node)
      expect(await world.compute()).toBe(1)
      const request = await world.sign({ redundancy: 2 })
      await world.take(request)
      expect(await world.compute()).toBe(1)
      await world.settle(node)
      expect(await createdId(request)).toBe(2)
      const deep = 8
      await world.reorganise(deep)
      await world.request('anvil_dropAllTransactions')
      expect(await world.create(request)).toBe(1)
      expect(await world.ask()).toBe(2)
      await world.settle(node)
      await world.compute()
      await world.settle(node)
      await expectOnce(request)
      expect(await world.fulfilled()).toEqual([1, 2])
    })

    test('behavior: mined again before the node looks, under the id of what it has answered', async () => {
      const node = world.ticker()
      expect(await world.ask()).toBe(1)
      await world.look(node)
      await world.compute()
      await world.settle(node)
      const request = await world.sign()
      await world.take(request)
      await world.compute()
      await world.settle(node)
      const raws = await world.queue.db.orm.all<{ raw: string }>(
        sql`select raw from raws order by created_at`,
      )
      expect(raws).toHaveLength(2)
      await world.reorganise(10)
      await world.request('anvil_dropAllTransactions')
      await world.request('anvil_setNonce', nodeAddress, '0x1')
      await world.request('eth_sendRawTransaction', raws[1]?.raw)
      expect(await createdId(request)).toBe(1)
      expect(await world.ask()).toBe(2)
      await world.look(node)
      await expectOnce(request)
      // The other's answer waits until it is sure that the node's first nonce is lost.
      await world.compute()
      await world.look(node)
      expect((await world.deliveries()).filter(({ interval }) => interval > 0)).toMatchObject([
        { subscription: 1, state: 'delivered' },
        { subscription: 2, state: 'computed', reason: null },
      ])
    })

    test('behavior: whose signature has expired meanwhile is over, and says why', async () => {
      const node = world.ticker()
      const request = await world.sign({ expiry: (await now()) + 500 })
      await world.take(request)
      await world.compute()
      await world.look(node)
      await world.mine(2)
      await world.look(node)
      await world.reorganise(4)
      await world.request('anvil_dropAllTransactions')
      await world.chain.warp(600)
      await world.settle(node)
      expect(await world.fulfilled()).toEqual([])
      const [subscription] = await world.subscriptions()
      const [delivery] = await world.deliveries()
      expect([subscription?.state, delivery?.state]).toEqual(['ended', 'dropped'])
      expect(delivery?.reason).toBe('too_late')
    })
  },
)

describe.for([false, true])('what was computed for a later block; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  test('behavior: a chain that is put back to before it begins: its answer waits until then', async () => {
    const node = world.ticker()
    await world.chain.warp(200)
    const request = await world.sign({ active_at: await now() })
    await world.take(request)
    await world.compute()
    await world.reorganise(1)
    expect(await now()).toBeLessThan(request.subscription.active_at - 100)
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'SubscriptionNotActive' }])
    await world.chain.warp(200)
    await world.settle(node)
    await expectOnce(request)
    await expectJobs(1)
  })
})

describe.for([false, true])('what somebody else has created; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  const stories = depthsOf(firstDeployment).flatMap(depth =>
    [true, false].flatMap(kept => ['computing', 'delivered'].map(moment => ({ depth, kept, moment }))),
  )
  test.for(stories.filter(({ depth, moment }) => depth > 1 || moment === 'computing'))(
    'behavior: $depth deep, the answer is $moment, it comes again: $kept',
    async ({ depth, kept, moment }) => {
      const node = world.ticker()
      const request = await world.sign({ redundancy: 2 })
      await world.take(request)
      await world.answer(request)
      await world.look(node)
      expect(await world.ids()).toEqual([1])
      if (moment === 'delivered') {
        await world.compute()
        await world.look(node)
        await expect.poll(world.fulfilled).toEqual([1, 1])
      }
      await world.mine(depth - (moment === 'delivered' ? 2 : 1))
      await world.look(node)
      await world.reorganise(depth, { kept })
      await world.mine()
      await world.look(node)
      await world.compute()
      await world.settle(node)
      await expectOnce(request, { others: kept ? 1 : 0 })
      await expectJobs(1)
    },
  )

  test('behavior: and nobody creates again under its id, which is another’s: it is told apart', async () => {
    const node = world.ticker()
    const request = await world.sign({ redundancy: 2 })
    await world.take(request)
    await world.create(request)
    await world.look(node)
    expect(await world.ids()).toEqual([1])
    await world.reorganise(2)
    // Nobody's answer is for this one.
    const other = await world.sign({ nonce: 77, redundancy: 3 })
    expect(await world.create(other)).toBe(1)
    await world.compute()
    await world.settle(node)
    await expectOnce(request)
    expect(await createdId(request)).toBe(2)
  })

  test('behavior: an id that is another’s, or nobody’s, when the schedule looks, is taken back', async () => {
    const node = world.ticker()
    const request = await world.sign({ redundancy: 2 })
    await world.take(request)
    await world.create(request)
    expect(await world.ask()).toBe(2)
    await world.look(node)
    expect(await world.ids()).toEqual([1])
    for (const wrong of [2, 77]) {
      const { orm } = world.queue.db
      // As if the chain had changed between two questions of one look.
      await orm.batch([
        orm.run(sql`delete from deliveries where subscription = 2`),
        orm.run(sql`delete from subscriptions where id = 2`),
        orm.run(sql`update delegations set subscription = ${wrong}`),
        orm.run(sql`update deliveries set subscription = ${wrong}`),
        orm.run(sql`update subscriptions set id = ${wrong}, state = 'active', due_at = 0`),
      ])
      await world.look(world.ticker())
      expect(await world.ids()).toEqual([1])
      expect(await world.deliveries()).toContainEqual(
        expect.objectContaining({ subscription: 1, interval: 1, state: 'computing' }),
      )
    }
    await world.compute()
    await world.settle(node)
    await expectOnce(request)
    expect(await world.fulfilled()).toEqual([1, 2])
  })

  test('behavior: seen at the door alone, before the node has got there', async () => {
    const request = await world.sign({ redundancy: 2 })
    await world.answer(request)
    expect(await world.take(request)).toMatchObject({ subscriptionId: 1 })
    await world.reorganise(2)
    const node = world.ticker()
    await world.mine(2)
    await world.look(node)
    expect(await world.compute()).toBe(1)
    await world.settle(node)
    await expectOnce(request)
  })

  test('behavior: an ordinary one to the node when the request came: no answer reaches whoever has its id then', async () => {
    const node = world.ticker()
    const request = await world.sign({ redundancy: 2 })
    await world.answer(request)
    await world.look(node)
    expect(await world.compute()).toBe(1)
    await world.look(node)
    await expect.poll(world.fulfilled).toEqual([1, 1])
    await world.take(request)
    await world.look(node)
    await world.mine()
    await world.look(node)
    await world.reorganise(4)
    await world.request('anvil_dropAllTransactions')
    expect(await world.ask()).toBe(1)
    await world.settle(node)
    // Of the one that was asked for on the chain, and of the one that was signed.
    expect(await world.compute()).toBe(2)
    await world.settle(node)
    await expectOnce(request)
    expect(await world.fulfilled()).toEqual([1, 2])
  })
})

describe.for([false, true])('with a trail; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  const trailing = { trailHeadBlocks: 3 }
  async function walk(node: ChainTick, blocks: number): Promise<void> {
    for (let block = 0; block < blocks; block += 1) {
      await world.mine()
      await world.look(node)
    }
  }

  test.for([1, 2, 3, 4, 5, 6])('behavior: created and answered, and undone %s deep', async depth => {
    const node = world.ticker(trailing)
    const request = await world.sign()
    await world.take(request, { door: await world.door(trailing) })
    await world.compute()
    await world.look(node)
    await walk(node, depth - 1)
    await world.reorganise(depth)
    await walk(node, 8)
    await world.settle(node)
    await expectOnce(request)
    await expectJobs(1)
  })

  test('behavior: a recurring one goes on, once in each interval', async () => {
    const node = world.ticker(trailing)
    const active_at = await now()
    const request = await world.sign({ active_at, period: 100, frequency: 3 })
    await world.take(request, { door: await world.door(trailing) })
    for (let interval = 1; interval <= 3; interval += 1) {
      await walk(node, 3)
      expect(await world.compute()).toBe(1)
      await walk(node, 2)
      expect(await world.fulfilled()).toHaveLength(interval)
      const begins = active_at + interval * 100
      await world.chain.anvil.setNextBlockTimestamp({ timestamp: BigInt(begins) })
      await walk(node, 5)
    }
    expect(await world.states()).toEqual(['delivered', 'delivered', 'delivered'])
    expect(await world.subscriptions()).toMatchObject([{ id: 1, state: 'ended' }])
  })

  test('behavior: created by somebody else above the block that is believed, before the request comes', async () => {
    const node = world.ticker(trailing)
    await walk(node, 1)
    const request = await world.sign({ redundancy: 2 })
    await world.answer(request)
    await world.take(request, { door: await world.door(trailing) })
    await world.look(node, 2)
    await walk(node, 6)
    await world.compute()
    await walk(node, 6)
    await expectOnce(request, { others: 1 })
    await expectJobs(1)
  })
})

describe.for([false, true])('of the one and the other; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  test.for([1, 2, 3, 4])('behavior: created and answered, and undone %s deep', async depth => {
    const node = world.ticker()
    const [own, theirs] = [await world.sign(), await world.sign({ redundancy: 2 })]
    await world.take(own)
    await world.take(theirs)
    await world.create(theirs)
    await world.look(node)
    await world.compute()
    await world.look(node)
    await world.mine(depth - 1)
    await world.look(node)
    await world.reorganise(depth + 1, { kept: depth % 2 === 0 })
    await world.settle(node)
    await expectOnce(own)
    await expectOnce(theirs)
    await expectJobs(2)
  })
})
