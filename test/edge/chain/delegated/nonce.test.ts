import { sql } from 'drizzle-orm'
import { type Address, parseEther, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { deploy, fund, nodeAddress, transact } from '../../../support/chain.ts'
import { type Asking, type Delegating, type Sending, startDelegating } from './delegating.ts'
import { foil as foilAnswer } from './foiling.ts'

/** A nonce with which something else was signed as well: whatever the chain creates first is what it stands for. */

let world: Delegating
let node: ChainTick
function startEach(options: { firstDeployment: boolean }): void {
  beforeEach(async () => {
    world = await startDelegating(options)
    node = world.ticker()
  })
  afterEach(async () => await world?.close())
}

const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)
const jobs = async () =>
  (await world.queue.db.orm.all<{ state: string }>(sql`select state from jobs order by created_at, id`)).map(
    ({ state }) => state,
  )

describe.for([false, true])(
  'a nonce that has created something else; first deployment: %s',
  firstDeployment => {
    startEach({ firstDeployment })
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
  },
)

/** The coordinator does not compare: what the nonce has created takes whatever is sent for it. */
describe.for([false, true])(
  'a nonce that creates something else before our answer; first deployment: %s',
  firstDeployment => {
    startEach({ firstDeployment })

    async function foil(other: Asking, mine: Asking = {}, options?: Sending): Promise<void> {
      await foilAnswer(world, { node, other, mine, ...(options ? { options } : {}) })
      await world.settle(node)
      await world.compute()
      await world.settle(node)
    }

    const transactions = async () =>
      await world.queue.db.orm.all(
        sql`select state, status, gas_used > 0 as paid from transactions order by nonce`,
      )

    test('behavior: the answer goes to that one, once; what was asked for ends, and has none', async () => {
      await foil({ redundancy: 2 })
      expect(await world.fulfilled()).toEqual([1])
      expect(await transactions()).toEqual([{ state: 'mined', status: 1, paid: 1 }])
      expect(await world.deliveries()).toMatchObject([
        { subscription: expect.any(Number), state: 'dropped', reason: 'nonce_used', tx: expect.any(String) },
      ])
      const [mine, theirs] = await world.subscriptions()
      expect(mine).toMatchObject({ state: 'ended', reason: 'nonce_used' })
      expect(theirs).toMatchObject({ id: 1, state: 'ended', reason: 'answered' })
      expect((await world.ids())[0]).toBeLessThan(0)
      expect(await jobs()).toEqual(['success'])
    })

    test('behavior: that one is staked for: an answer that is not paid names no wallet to take the stake from', async () => {
      const price = parseEther('1')
      const payer = await fund(world.chain, { spender: world.consumer.address, amount: price })
      const nodeWallet = await fund(world.chain, { spender: nodeAddress, amount: price })
      const args = [world.chain.coordinator]
      const verifier = await deploy(world.chain, { name: 'AtomicVerifier', file: 'Verifiers', args })
      await transact(world.chain, verifier, { functionName: 'setVerdict', args: [false] })
      node = world.ticker({ paymentAddress: nodeWallet })
      const paid = { payment_amount: price, payment_token: zeroAddress, wallet: payer }
      await foil({ ...paid, verifier: verifier.address })
      const { chain } = world.chain.deployer
      expect(await chain.getBalance({ address: nodeWallet })).toBe(price)
      expect(await transactions()).toEqual([{ state: 'mined', status: 0, paid: 1 }])
      expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'nonce_used' }])
    })

    test('behavior: that one pays more, out of another wallet: what was paid is booked', async () => {
      const { chain, consumer, queue } = world
      const price = parseEther('1')
      const from = (wallet: Address, amount: bigint) => ({
        payment_amount: amount,
        payment_token: zeroAddress,
        wallet,
      })
      const own = await fund(chain, { spender: consumer.address, amount: price })
      const theirs = await fund(chain, { spender: consumer.address, amount: 2n * price })
      const paymentAddress = await fund(chain, { spender: nodeAddress, amount: 0n })
      node = world.ticker({ paymentAddress })
      const door = await world.door({ paymentAddress })
      await foil(from(theirs, 2n * price), from(own, price), { door })
      expect(await chain.deployer.chain.getBalance({ address: paymentAddress })).toBe(2n * price)
      const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
      const entries = await readLedgerEntries(queue.db, { ...question, limit: 10 })
      expect(entries.map(({ row }) => row)).toMatchObject([
        { kind: 'answer', subscription: 1, interval: 1, token: zeroAddress, payment: String(2n * price) },
      ])
    })

    test('behavior: that one is staked for, and ours paid: the proof is followed', async () => {
      const { chain, consumer, queue } = world
      const price = parseEther('1')
      const wallet = await fund(chain, { spender: consumer.address, amount: 2n * price })
      const paymentAddress = await fund(chain, { spender: nodeAddress, amount: price })
      const args = [chain.coordinator]
      const verifier = await deploy(chain, { name: 'OptimisticVerifier', file: 'Verifiers', args })
      node = world.ticker({ paymentAddress })
      const door = await world.door({ paymentAddress })
      const paid = { payment_amount: price, payment_token: zeroAddress, wallet }
      await foil({ ...paid, verifier: verifier.address }, paid, { door })
      expect(await world.fulfilled()).toEqual([1])
      expect(await queue.db.orm.all(sql`select subscription, interval, state from proofs`)).toEqual([
        { subscription: 1, interval: 1, state: 'pending' },
      ])
      const transaction = { functionName: 'finalize', args: [1, 1, nodeAddress, true] }
      await transact(chain, verifier, transaction)
      await chain.warp(3_600)
      await world.look(node)
      expect(await queue.db.orm.all(sql`select state from proofs`)).toEqual([{ state: 'accepted' }])
      const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
      const entries = await readLedgerEntries(queue.db, { ...question, limit: 10 })
      expect(entries.map(({ row: { kind, payment } }) => [kind, payment])).toContainEqual([
        'verdict',
        String((await chain.deployer.chain.getBalance({ address: paymentAddress })) - price),
      ])
    })

    test('behavior: that one takes no answer: ours is mined and reverts, and is not sent again', async () => {
      await foil({ active_at: 4_000_000_000 })
      expect(await world.fulfilled()).toEqual([])
      expect(await transactions()).toEqual([{ state: 'mined', status: 0, paid: 1 }])
      expect(await world.deliveries()).toMatchObject([
        { subscription: expect.any(Number), state: 'dropped', reason: 'nonce_used' },
      ])
      expect(await world.subscriptions()).toMatchObject([
        { state: 'ended', reason: 'nonce_used' },
        { id: 1, state: 'active' },
      ])
      expect((await world.ids())[0]).toBeLessThan(0)
    })

    test('behavior: that one recurs: it is answered from its next interval on, as any', async () => {
      await foil({ active_at: await now(), period: 1_000, frequency: 2, redundancy: 2 })
      expect(await world.fulfilled()).toEqual([1])
      await world.chain.warp(1_000)
      await world.look(node)
      expect(await world.compute()).toBe(1)
      await world.settle(node)
      expect(await world.fulfilled()).toEqual([1, 1])
      expect(await world.deliveries()).toMatchObject([
        { state: 'dropped', reason: 'nonce_used' },
        { subscription: 1, interval: 2, state: 'delivered' },
      ])
    })

    test('behavior: on a trailed chain, above the block that is believed: nothing is sent', async () => {
      const trailing = { trailHeadBlocks: 3 }
      node = world.ticker(trailing)
      await world.mine(3)
      const door = await world.door(trailing)
      await world.take({ nonce: 5 }, { door })
      const same = await world.sign({ nonce: 6, redundancy: 2 })
      await world.take(same, { door })
      await world.look(node)
      await world.create(await world.sign({ nonce: 5, redundancy: 2 }))
      await world.create(same)
      expect(await world.compute()).toBe(2)
      await world.look(node)
      expect(await world.deliveries()).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ state: 'dropped', reason: 'nonce_used', tx: null }),
          expect.objectContaining({ state: 'sending' }),
        ]),
      )
      for (let block = 0; block < 5; block += 1) {
        await world.mine()
        await world.look(node)
      }
      expect(await world.fulfilled()).toEqual([2])
      const rows = await world.subscriptions()
      expect(rows.find(({ id }) => id < 0)).toMatchObject({ state: 'ended', reason: 'nonce_used' })
      expect((await world.ids()).toSorted((a, b) => a - b)).toEqual([expect.any(Number), 2])
    })
  },
)
