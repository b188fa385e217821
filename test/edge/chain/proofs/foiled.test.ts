import { sql } from 'drizzle-orm'
import { type Address, type Hex, keccak256, parseEther, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import { type Contract, deploy, fund, nodeAddress, transact } from '../../../support/chain.ts'
import { type Delegating, startDelegating } from '../delegated/delegating.ts'
import { foil } from '../delegated/foiling.ts'

/** The proof of an answer that has reached another subscription than the one that it was computed for: that one has a verifier, and a stake of the node's. */

const price = parseEther('1')

type Foiled = Delegating & {
  verifier: Contract
  nodeWallet: Address
  node: ChainTick
  /** Has our answer to what pays, and is not judged, reach what is judged. */
  foil(): ReturnType<typeof foil>
  judge(valid: boolean): Promise<void>
  proofs(): Promise<unknown[]>
  /** Kind, subscription, payment and loss of each row of the books. */
  books(): Promise<unknown[]>
  /** Blocks from the one on in which it was mined. */
  blocksSince(raw: Hex): Promise<number>
}

async function startFoiled(firstDeployment: boolean): Promise<Foiled> {
  const world = await startDelegating({ firstDeployment, container: { generates_proofs: true } })
  const { chain, consumer, queue } = world
  const wallet = await fund(chain, { spender: consumer.address, amount: 10n * price })
  const nodeWallet = await fund(chain, { spender: nodeAddress, amount: 10n * price })
  const args = [chain.coordinator]
  const verifier = await deploy(chain, { name: 'OptimisticVerifier', file: 'Verifiers', args })
  const node = world.ticker({ paymentAddress: nodeWallet })
  const door = await world.door({ paymentAddress: nodeWallet })
  const paid = { payment_amount: price, payment_token: zeroAddress, wallet }
  return {
    ...world,
    verifier,
    nodeWallet,
    node,
    foil: async () =>
      await foil(world, {
        node,
        other: { ...paid, verifier: verifier.address },
        mine: paid,
        options: { door },
      }),
    async judge(valid) {
      await transact(chain, verifier, { functionName: 'finalize', args: [1, 1, nodeAddress, valid] })
    },
    proofs: () =>
      queue.db.orm.all(sql`
        select subscription, interval, state, stake_token, stake, stake_verifier, node_wallet from proofs`),
    async books() {
      const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
      const entries = await readLedgerEntries(queue.db, { ...question, limit: 10 })
      return entries
        .map(({ row: { kind, subscription, payment, slashed } }) => [kind, subscription, payment, slashed])
        .toSorted()
    },
    async blocksSince(raw) {
      const { deployer } = chain
      const { blockNumber } = await deployer.chain.getTransactionReceipt({ hash: keccak256(raw) })
      return Number((await deployer.chain.getBlockNumber({ cacheTime: 0 })) - blockNumber) + 1
    },
  }
}

let world: Foiled
describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startFoiled(firstDeployment)
  })
  afterEach(async () => await world?.close())

  const pending = () => ({
    subscription: 1,
    interval: 1,
    state: 'pending',
    stake_token: zeroAddress,
    stake: String(price),
    stake_verifier: world.verifier.address.toLowerCase(),
    node_wallet: world.nodeWallet.toLowerCase(),
  })

  test('default: it is known what is at stake, with whom, and where', async () => {
    const { node, look } = world
    await world.foil()
    await look(node)
    expect(await world.proofs()).toEqual([pending()])
    await world.settle(node)
    expect(await world.states()).toEqual(['dropped'])
    expect(await world.proofs()).toEqual([pending()])
  })

  test('behavior: it counts to what is risked on the verifier', async () => {
    const { consumer, chain, nodeWallet: paymentAddress, verifier } = world
    await world.foil()
    await world.settle(world.node)
    const most = new Map([[zeroAddress, price + price / 2n]] as const)
    const verifiers = new Map([[verifier.address.toLowerCase() as Address, most]])
    const changed = { paymentAddress, guard: { ...openGuard, verifiers } }
    const wallet = await fund(chain, { spender: consumer.address, amount: price })
    const paid = { payment_amount: price, payment_token: zeroAddress, wallet }
    const door = await world.door(changed)
    await world.take({ ...paid, nonce: 6, verifier: verifier.address }, { door })
    const node = world.ticker(changed)
    await chain.warp(5)
    await world.look(node)
    expect(await world.subscriptions()).toContainEqual(
      expect.objectContaining({ id: expect.toSatisfy(id => id < 0), reason: 'stake_limit' }),
    )
    await world.judge(true)
    await chain.warp(60)
    await world.look(node)
    await world.mine()
    await world.look(node)
    expect((await world.subscriptions()).map(({ reason }) => reason)).not.toContain('stake_limit')
  })

  test('behavior: its verdict is booked to the wallet that the answer names, whatever is configured by then', async () => {
    const { chain } = world
    await world.foil()
    await world.settle(world.node)
    const paymentAddress = await fund(chain, { spender: nodeAddress, amount: 0n })
    const node = world.ticker({ paymentAddress })
    await world.judge(true)
    await chain.warp(3_600)
    await world.look(node)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
    const gained = (await chain.deployer.chain.getBalance({ address: world.nodeWallet })) - 10n * price
    expect(gained).toBeGreaterThan(0n)
    expect(await world.books()).toContainEqual(['verdict', 1, String(gained), '0'])
  })

  test('behavior: one that is rejected later is lost, and counts as rejected, with its gas, to who asked', async () => {
    const { chain, queue, consumer } = world
    await world.foil()
    await world.settle(world.node)
    await world.judge(false)
    await chain.warp(3_600)
    await world.look(world.node)
    expect(await world.books()).toContainEqual(['verdict', 1, '0', String(price)])
    const [answer] = await queue.db.orm.all<{ gas: number }>(sql`select gas_used as gas from transactions`)
    const config = { id: chain.id, guard: openGuard }
    expect(await readConsumer(queue.db, { config, owner: consumer.address.toLowerCase() })).toMatchObject({
      paid: 0,
      rejected: 1,
      wasted_gas: answer?.gas,
    })
  })

  test.for(['before', 'after'])(
    'behavior: it is gone with its block, and there again with the next, %s its request was given up',
    async when => {
      const { node } = world
      const { raw } = await world.foil()
      await world.look(node)
      if (when === 'after') await world.settle(node)
      const [books, depth] = [await world.books(), await world.blocksSince(raw)]
      expect(await world.proofs()).toEqual([pending()])
      await world.request('evm_setAutomine', false)
      await world.reorganise(depth, { kept: true })
      await world.look(node)
      expect([await world.proofs(), await world.books()]).toEqual([[], []])
      // What it sends then, the same or nothing in its place, does not get to be mined.
      await world.request('anvil_dropAllTransactions')
      await world.request('eth_sendRawTransaction', raw)
      await world.mine()
      await world.request('evm_setAutomine', true)
      await world.settle(node)
      expect(await world.fulfilled()).toEqual([1])
      expect([await world.proofs(), await world.books()]).toEqual([[pending()], books])
    },
  )

  test('behavior: given up, and the other is undone: it creates what it was computed for, and is the answer to that', async () => {
    const { node } = world
    const { raw } = await world.foil()
    await world.settle(node)
    await world.request('evm_setAutomine', false)
    await world.reorganise((await world.blocksSince(raw)) + 1)
    await world.look(node)
    await world.request('anvil_dropAllTransactions')
    await world.request('eth_sendRawTransaction', raw)
    await world.mine()
    await world.request('evm_setAutomine', true)
    await world.settle(node)
    await world.compute()
    await world.settle(node)
    expect(await world.fulfilled()).toEqual([1])
    expect(await world.ids()).toEqual([1])
    expect(await world.deliveries()).toContainEqual(
      expect.objectContaining({ subscription: 1, interval: 1, state: 'delivered', tx: expect.any(String) }),
    )
    expect(await world.proofs()).toEqual([])
    expect(await world.books()).toContainEqual(['answer', 1, String(price), '0'])
  })

  test('behavior: it is kept while it waits, with what it was given to, and forgotten with its answer', async () => {
    const { chain, queue, node } = world
    await world.foil()
    await world.settle(node)
    await world.mine(70)
    await world.look(node)
    const prune = async () => {
      const head = Number(await chain.deployer.chain.getBlockNumber({ cacheTime: 0 }))
      await pruneChain(queue.db, { chain: chain.id, head, reorgDepth: 64, retentionMs: 1, waitMs: 1e12 })
      const [rows] = await queue.db.orm.all(sql`
        select (select count(*) from proofs) as proofs, (select count(*) from deliveries) as deliveries,
          (select count(*) from subscriptions where id = 1) as subscriptions`)
      return rows
    }
    queue.clock.ms += 10
    expect(await prune()).toEqual({ proofs: 1, deliveries: 1, subscriptions: 1 })
    await world.judge(true)
    await chain.warp(3_600)
    await world.look(node)
    queue.clock.ms += 10
    expect(await prune()).toEqual({ proofs: 1, deliveries: 1, subscriptions: 1 })
    await world.mine(70)
    await world.look(node)
    queue.clock.ms += 10
    await prune()
    expect(await prune()).toEqual({ proofs: 0, deliveries: 0, subscriptions: 0 })
  })
})
