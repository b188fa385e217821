import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import { anvilKey } from '../../../../src/local/chain/start.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** Others that have the same signature: another node, whoever copies it, and the same client once more. */

let world: Delegating
function startEach(options: { firstDeployment: boolean }): void {
  beforeEach(async () => {
    world = await startDelegating(options)
  })
  afterEach(async () => await world?.close())
}

describe.for([false, true])('two nodes; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })
  let other: Delegating
  const otherSigner = createSigner(anvilKey(8))
  beforeEach(async () => {
    other = await startDelegating({ firstDeployment, chain: world.chain })
  })
  afterEach(async () => await other?.close())

  const both = async <Result>(act: (node: Delegating) => Promise<Result>) =>
    await Promise.all([act(world), act(other)])

  test.for([1, 2])('behavior: one creates, the other links; redundancy %s', async redundancy => {
    const request = await world.sign({ redundancy })
    const taken = await both(node => node.take(request))
    expect(taken.map(({ job }) => job !== null)).toEqual([true, true])
    await both(node => node.compute())
    const [first, second] = [world.ticker(), other.ticker({ signer: otherSigner })]
    // Both are in the same block.
    await world.request('evm_setAutomine', false)
    await Promise.all([world.look(first), other.look(second)])
    expect([await world.states(), await other.states()]).toEqual([['sending'], ['sending']])
    await world.mine()
    await world.request('evm_setAutomine', true)
    await world.settle(first)
    await other.settle(second)
    expect(await world.fulfilled()).toEqual(Array(redundancy).fill(1))
    expect([await world.ids(), await other.ids()]).toEqual([[1], [1]])
    const states = [await world.states(), await other.states()].flat().toSorted()
    expect(states).toEqual(redundancy === 1 ? ['delivered', 'dropped'] : ['delivered', 'delivered'])
    for (const node of [world, other]) {
      expect(await node.subscriptions()).toMatchObject([{ id: 1, state: 'ended' }])
      expect(
        (await node.deliveries()).every(({ state, reason }) => (state === 'dropped') === (reason !== null)),
      ).toBe(true)
    }
  })

  test('behavior: created by the other one, and seen, between the look of the door and its store: linked, and computed once', async () => {
    const request = await world.sign({ redundancy: 2 })
    const [first, second] = [world.ticker(), other.ticker({ signer: otherSigner })]
    await world.look(first)
    const door = await world.door()
    const { rpc } = door.chain
    let isFirst = true
    door.chain.rpc = {
      ...rpc,
      async send(calls, anchor) {
        const answers = await rpc.send(calls, anchor)
        if (!isFirst) return answers
        isFirst = false
        await other.take(request)
        await other.compute()
        await other.settle(second)
        await world.look(first)
        return answers
      },
    }
    const taken = await world.take(request, { door })
    expect(taken.subscriptionId).toBe(1)
    await world.settle(first)
    await world.compute()
    await world.settle(first)
    expect(await world.ids()).toEqual([1])
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'delivered' }])
    expect(await world.fulfilled()).toEqual([1, 1])
  })

  test('behavior: undone, and created by the other one: both go on', async () => {
    const request = await world.sign({ redundancy: 2 })
    await both(node => node.take(request))
    await both(node => node.compute())
    const [first, second] = [world.ticker(), other.ticker({ signer: otherSigner })]
    await world.mine(3)
    await world.look(first)
    await world.look(first)
    expect(await world.ids()).toEqual([1])
    await world.reorganise(2)
    await world.request('anvil_dropAllTransactions')
    await other.look(second)
    await world.settle(first)
    await other.settle(second)
    expect(await world.fulfilled()).toEqual([1, 1])
    expect([await world.states(), await other.states()]).toEqual([['delivered'], ['delivered']])
  })
})

describe.for([false, true])('a copier; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })
  const theirs = { data: '{"theirs":1}' }

  test('error: data for what is created, by nobody whom its signer knows', async () => {
    const request = await world.sign({ redundancy: 2 })
    await world.take(request)
    await world.compute()
    await world.settle(world.ticker())
    const zero = `0x${'00'.repeat(32)}` as const
    const forged = { ...request, signature: { ...request.signature, r: zero, s: zero } }
    const other = await startDelegating({ firstDeployment, chain: world.chain })
    try {
      expect(await other.send(forged, theirs)).toMatchObject({ refusal: { code: 'signer_mismatch' } })
      expect(await other.send(request)).toMatchObject({ subscriptionId: 1 })
    } finally {
      await other.close()
    }
  })

  test('behavior: that comes first is answered; the same signature with other data is no other request', async () => {
    const request = await world.sign()
    await world.take(request, theirs)
    expect(await world.refusal(request)).toBe('data_conflict')
    await world.compute()
    const node = world.ticker()
    await world.settle(node)
    expect(await world.refusal(request)).toBe('data_conflict')
    expect(await world.fulfilled()).toEqual([1])
  })

  test('behavior: that comes after is told so, at any time', async () => {
    const request = await world.sign()
    const { id } = await world.take(request)
    expect(await world.refusal(request, theirs)).toBe('data_conflict')
    await world.compute()
    await world.settle(world.ticker())
    expect(await world.refusal(request, theirs)).toBe('data_conflict')
    expect(await world.take(request)).toMatchObject({ id, replayed: true })
  })

  test('behavior: that bends what was signed is another only to whom it does not matter', async () => {
    const request = await world.sign()
    const { id } = await world.take(request)
    const { signature } = request
    const bent = { ...request, signature: { ...signature, v: 55 - signature.v } }
    expect(await world.take(bent)).toMatchObject({ id, replayed: true })
    const [row] = await world.queue.db.orm.all<{ v: number; s: string }>(sql`select v, s from delegations`)
    expect(row).toEqual({ v: signature.v, s: signature.s })
  })
})

describe.for([false, true])('at once; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  test('behavior: the same twice is one request', async () => {
    const request = await world.sign()
    const taken = await Promise.all(Array.from({ length: 4 }, () => world.take(request)))
    expect(new Set(taken.map(({ id }) => id)).size).toBe(1)
    expect(taken.filter(({ replayed }) => !replayed)).toHaveLength(1)
    expect(await world.compute()).toBe(1)
    await world.settle(world.ticker())
    expect(await world.fulfilled()).toEqual([1])
  })

  test('behavior: of other data only one is taken', async () => {
    const request = await world.sign()
    const data = [1, 2, 3, 4].map(a => `{"a":${a}}`)
    const codes = await Promise.all(data.map(each => world.refusal(request, { data: each })))
    expect(codes.toSorted()).toEqual(['data_conflict', 'data_conflict', 'data_conflict', null])
    expect(await world.compute()).toBe(1)
    expect(await world.subscriptions()).toHaveLength(1)
  })

  test('behavior: of other subscriptions only one is taken', async () => {
    const requests = await Promise.all([1, 2, 3].map(redundancy => world.sign({ nonce: 9, redundancy })))
    const codes = await Promise.all(requests.map(request => world.refusal(request)))
    expect(codes.toSorted()).toEqual(['nonce_used', 'nonce_used', null])
    expect(await world.compute()).toBe(1)
    expect(await world.subscriptions()).toHaveLength(1)
  })

  test('behavior: two tickers of one node begin, link and answer once', async () => {
    const tickers = [world.ticker(), world.ticker(), world.ticker()]
    const lookAll = async () => await Promise.all(tickers.map(ticker => world.look(ticker)))
    const active_at = Number((await world.chain.deployer.chain.getBlock()).timestamp) + 100
    const linked = await world.sign({ redundancy: 2, active_at })
    const own = await world.sign({ active_at })
    await world.take(linked)
    await world.take(own)
    await world.chain.warp(101)
    await lookAll()
    expect(await world.compute()).toBe(2)
    await world.answer(linked)
    for (let block = 0; block < 6; block += 1) {
      await lookAll()
      await world.mine()
    }
    await lookAll()
    expect(await world.fulfilled()).toEqual([1, 1, 2])
    expect(await world.states()).toEqual(['delivered', 'delivered'])
    expect(await world.subscriptions()).toMatchObject([
      { id: 1, state: 'ended' },
      { id: 2, state: 'ended' },
    ])
    expect(await world.compute()).toBe(0)
  })
})
