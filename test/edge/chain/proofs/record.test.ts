import { sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { noLimits, openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { type Contract, createdBy, deploy, nodeAddress } from '../../../support/chain.ts'
import { type Proving, price, startProving, week } from './proving.ts'

/** What verdicts are to the record of who asked. */

let world: Proving
afterEach(async () => await world?.close())

const record = async () =>
  await readConsumer(world.queue.db, {
    config: { id: world.chain.id, guard: openGuard },
    owner: world.consumer.address.toLowerCase(),
  })
const judge = async (id: number, valid: boolean) =>
  await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)

/** Of the transaction that brought the answer. */
async function waste() {
  const [answer] = await world.queue.db.orm.all<{ gas_used: number; gas_price: string }>(
    sql`select gas_used, gas_price from transactions where kind = 'deliver'`,
  )
  const { gas_used = 0, gas_price = '0' } = answer ?? {}
  return { wasted_gas: gas_used, wasted: String(BigInt(gas_used) * BigInt(gas_price)) }
}
const good = { paid: 1, unpaid: 0, reverted: 0, rejected: 0, wasted_gas: 0, wasted: '0' }
const bad = async () => ({ ...good, paid: 0, rejected: 1, ...(await waste()) })

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: a proof that is rejected with its answer', async () => {
    world = await startProving({ kind: 'AtomicVerifier', firstDeployment })
    await world.call(world.verifier, 'setVerdict', false)
    await world.deliver()
    expect(await world.proofs()).toMatchObject([{ state: 'rejected' }])
    expect(await record()).toMatchObject(await bad())
  })

  test('default: one that is rejected later counts as paid until then, and as rejected once, whoever looks', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    expect(await record()).toMatchObject(good)
    await judge(id, false)
    await world.chain.warp(3_600)
    const others = [1, 2, 3].map(() => world.ticker({ paymentAddress: world.nodeWallet }))
    await Promise.all(others.map(async node => await world.look(node)))
    await world.warp(3_600)
    expect(await record()).toMatchObject({
      ...(await bad()),
      day: { rejected: 1, wasted_gas: (await waste()).wasted_gas },
    })
    expect((await waste()).wasted_gas).toBeGreaterThan(50_000)
  })

  test('behavior: one that is accepted later, or not judged and paid, is nothing against anybody', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judge(id, true)
    await world.warp(3_600)
    await world.deliver()
    await world.warp(week)
    await world.later(2)
    await world.warp(60)
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted' }, { state: 'finalized' }])
    expect(await record()).toMatchObject({ ...good, paid: 2 })
  })
})

describe('one that nobody judges in time, by terms that give the pay back', () => {
  /** Has it computed and sent. */
  async function send(): Promise<number> {
    world = await startProving()
    const request = {
      containerId: 'echo',
      frequency: 1,
      period: 0,
      redundancy: 1,
      lazy: false,
      paymentToken: zeroAddress,
      paymentAmount: price,
      wallet: world.payer,
      verifier: world.verifier.address,
    }
    const terms = { expiresAt: 0, maxFee: 0, prepaid: false, committed: false, refundOnSilence: true }
    const id = await createdBy(world.chain, world.consumer, { functionName: 'open', args: [request, terms] })
    await world.look(world.node)
    await world.later(2)
    await world.compute()
    await world.look(world.node)
    expect(await world.states()).toEqual(['sending'])
    return id
  }

  test('default: it counts as rejected', async () => {
    await send()
    await world.later(2)
    await world.warp(week)
    await world.later(2)
    await world.warp(60)
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([{ state: 'finalized', payout: '0' }])
    expect(await record()).toMatchObject(await bad())
  })

  test('behavior: it was not looked at before that was over, and another has finalized it', async () => {
    const id = await send()
    await world.mine()
    await world.chain.warp(week)
    const coordinator = { address: world.chain.coordinator, abi: eip712CoordinatorAbi as Contract['abi'] }
    await world.call(coordinator, 'finalizeProofVerification', id, 1, nodeAddress, true)
    await world.warp(60)
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([{ state: 'finalized', payout: '0' }])
    expect(await record()).toMatchObject(await bad())
  })
})

test('behavior: one that nobody judges in time is paid for by its terms, be it that the token lets nothing through', async () => {
  world = await startProving()
  const { chain, verifier, payer, nodeWallet, consumer } = world
  const token = await deploy(chain, { name: 'StrangeToken', file: 'StrangeToken' })
  const amount = 10_000_000n
  for (const to of [payer, nodeWallet]) await world.call(token, 'mint', to, amount)
  const wallet = { address: payer, abi: walletAbi as Contract['abi'] }
  await world.call(wallet, 'approve', consumer.address, token.address, amount)
  await world.call(verifier, 'setFee', token.address, 0n)
  await world.deliver({ amount, token: token.address })
  await world.call(token, 'setBlocked', nodeWallet, true)
  await world.warp(week)
  await world.later(2)
  await world.warp(60)
  await world.warp(60)
  expect(await world.proofs()).toMatchObject([{ state: 'finalized' }])
  // It has not moved, and is owed.
  const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null, limit: 10 }
  const entries = await readLedgerEntries(world.queue.db, question)
  expect(entries.map(({ row }) => row)).toContainEqual(
    expect.objectContaining({ kind: 'verdict', payment: '0', slashed: '0' }),
  )
  const owed = await chain.deployer.chain.readContract({
    address: payer,
    abi: walletAbi,
    functionName: 'owed',
    args: [token.address, nodeWallet],
  })
  expect(owed).toBeGreaterThan(0n)
  expect(await record()).toMatchObject(good)
})

describe('reorganisations', () => {
  test('behavior: a verdict that is undone counts no more, and once when it comes again', async () => {
    world = await startProving()
    const id = await world.deliver()
    await world.mine(3)
    await world.look(world.node)
    for (let again = 0; again < 3; again++) {
      await judge(id, false)
      await world.warp(3_600)
      expect(await record()).toMatchObject(await bad())
      await world.reorganise(2)
      await world.look(world.node, 2)
      expect(await record()).toMatchObject({ ...good, day: { rejected: 0, wasted_gas: 0 } })
    }
    await judge(id, true)
    await world.warp(3_600)
    expect(await record()).toMatchObject(good)
  })

  test.for(['that notes the answer’s transaction', 'of before the migration'])(
    'behavior: with its answer it is gone altogether; written by code %s',
    async code => {
      world = await startProving()
      const id = await world.prove()
      await world.look(world.node)
      await world.later(2)
      await world.compute()
      await world.look(world.node)
      await world.mine()
      await world.look(world.node)
      if (code.startsWith('of before')) await world.queue.db.orm.run(sql`update proofs set answer_tx = null`)
      await judge(id, false)
      await world.warp(60)
      expect(await record()).toMatchObject(await bad())
      await world.request('evm_setAutomine', false)
      await world.reorganise(4)
      await world.look(world.node)
      expect(await world.proofs()).toEqual([])
      expect(await record()).toMatchObject({ ...good, paid: 0 })
      await world.request('evm_setAutomine', true)
    },
  )

  test('behavior: what is final is counted for good, and nothing of it is kept to be undone', async () => {
    world = await startProving()
    const id = await world.deliver()
    await judge(id, false)
    await world.warp(3_600)
    await world.mine(70)
    const node = world.ticker({ paymentAddress: world.nodeWallet })
    await world.look(node, 2)
    expect(await record()).toMatchObject({ paid: 0, rejected: 1 })
    expect(await world.queue.db.orm.all(sql`select source from consumer_changes`)).toEqual([])
  })
})

test('default: who has had too many rejected, late ones among them, is served no more', async () => {
  world = await startProving()
  const guard = { ...openGuard, limits: { ...noLimits, rejected: 2 } }
  for (let asked = 0; asked < 2; asked++) {
    const id = await world.deliver()
    await judge(id, false)
    await world.warp(3_600)
  }
  const node = world.ticker({ paymentAddress: world.nodeWallet, guard })
  await world.prove()
  await world.look(node)
  const [row] = await world.queue.db.orm.all<{ reason: string; params: string }>(
    sql`select reason, params from subscriptions order by id desc`,
  )
  expect(row?.reason).toBe('consumer_limit')
  expect(JSON.parse(row?.params ?? '')).toMatchObject({ limit: 'rejected_per_day', used: 2, most: 2 })
})
