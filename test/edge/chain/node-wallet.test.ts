import { type Address, getAddress, parseEther, toFunctionSelector, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { createWallet } from '../../../src/local/chain/start.ts'
import { walletAbi } from '../../../src/protocol/abi/wallet.ts'
import {
  type Contract,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
  transact,
} from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

/** The wallet that this node is paid into: whether it is one, and whose. */

const price = parseEther('1')
let world: Ticking
let consumer: Contract
let payer: Address
let verifier: Address
let owner: Address

function startEach({ firstDeployment }: { firstDeployment: boolean }): void {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment, container: { generates_proofs: true } })
    const { chain } = world
    owner = chain.deployer.wallet.account.address
    consumer = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
    payer = await fund(chain, { spender: consumer.address, amount: 10n * price })
    ;({ address: verifier } = await deploy(chain, {
      name: 'AtomicVerifier',
      file: 'Verifiers',
      args: [chain.coordinator],
    }))
  })
  afterEach(async () => await world?.close())
}

const walletOf = async (owner: Address) =>
  await createWallet(world.chain.deployer, world.chain.walletFactory, owner)
/** With as much in it as one answer is backed with. */
const fullWalletOf = async (owner: Address) => {
  const wallet = await walletOf(owner)
  const { deployer } = world.chain
  const hash = await deployer.wallet.sendTransaction({ to: wallet, value: price })
  await deployer.chain.waitForTransactionReceipt({ hash })
  return wallet
}
const ask = async (more: { amount?: bigint; verifier?: Address } = {}) =>
  await createSubscription(world.chain, consumer, { wallet: payer, ...more })
const waiting = async () => {
  const { orm } = world.queue.db
  const rows = await orm.all<{ id: number; reason: string | null }>(
    `select id, reason from subscriptions where state = 'active' order by id`,
  )
  return rows.map(({ id, reason }) => [id, reason])
}
/** So much later that whatever was put off is looked at again. */
async function later(node: ChainTick): Promise<void> {
  world.queue.clock.ms += 11 * 60_000
  await world.chain.warp(11 * 60)
  await world.look(node)
}
const ownerCall = toFunctionSelector('owner()')
const ofWallet = (told: { event: string; fields: object }) => told.event.startsWith('Payment wallet')

describe.for([false, true])(
  'a wallet of the factory, the signer’s own; first deployment: %s',
  firstDeployment => {
    startEach({ firstDeployment })

    test('default: in whatever case it is written, what pays is answered, and a stake is approved', async () => {
      const wallet = getAddress(await fullWalletOf(nodeAddress))
      const node = world.ticker({ paymentAddress: wallet })
      await ask({ amount: price })
      const staked = await ask({ amount: price, verifier })
      await world.look(node)
      expect(node.report().payment_wallet).toEqual({
        valid: true,
        own: true,
        owner: nodeAddress,
        problem: null,
      })
      expect(await waiting()).toEqual([[staked, 'stake_unapproved']])
      await later(node)
      expect(await waiting()).toEqual([])
      expect(await world.compute()).toBe(2)
      expect(world.lines.filter(ofWallet)).toEqual([])
    })

    test('behavior: without one nothing is asked of the chain', async () => {
      const node = world.ticker()
      await world.look(node)
      expect(node.report().payment_wallet).toBeNull()
    })
  },
)

describe.for([false, true])('what is no wallet of the factory; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  test('default: what pays waits, what does not is answered, and it is said why', async () => {
    const node = world.ticker({ paymentAddress: owner })
    const [paid, free, proven] = [await ask({ amount: price }), await ask(), await ask({ verifier })]
    await world.look(node)
    const problem = `The payment address ${owner.toLowerCase()} is no wallet of the factory ${world.chain.walletFactory.toLowerCase()}: what pays is not answered.`
    expect(node.report()).toMatchObject({
      problem: null,
      payment_wallet: {
        valid: false,
        own: false,
        owner: null,
        problem: expect.stringMatching(new RegExp(problem, 'i')),
      },
    })
    expect(world.lines.filter(ofWallet)).toMatchObject([
      { event: 'Payment wallet not usable', fields: { chain: world.chain.id } },
    ])
    expect(await waiting()).toEqual([
      [paid, 'payment_wallet'],
      [proven, 'payment_wallet'],
    ])
    expect(await world.compute()).toBe(1)
    await world.look(node)
    expect(await world.fulfilled()).toEqual([free])
  })

  test('behavior: another one, once it is configured, answers what waits', async () => {
    const id = await ask({ amount: price })
    await world.look(world.ticker({ paymentAddress: owner }))
    const wallet = await walletOf(nodeAddress)
    const node = world.ticker({ paymentAddress: wallet })
    await later(node)
    await world.compute()
    await later(node)
    expect(await world.fulfilled()).toEqual([id])
    expect(await world.chain.deployer.chain.getBalance({ address: wallet })).toBe(price)
  })
})

describe.for([false, true])('a wallet of somebody else; first deployment: %s', firstDeployment => {
  startEach({ firstDeployment })

  test('default: what pays is answered; what wants a stake when its owner has approved that, for as much', async () => {
    const wallet = await fullWalletOf(owner)
    const node = world.ticker({ paymentAddress: wallet })
    const [paid, staked, proven] = [
      await ask({ amount: price }),
      await ask({ amount: price, verifier }),
      await ask({ verifier }),
    ]
    await world.look(node)
    expect(node.report().payment_wallet).toEqual({
      valid: true,
      own: false,
      owner: owner.toLowerCase(),
      problem: expect.stringContaining(`is owned by ${owner.toLowerCase()}, not by the signer`),
    })
    expect(await waiting()).toEqual([[staked, 'stake_not_ours']])
    expect(await world.compute()).toBe(2)
    const approve = async (amount: bigint) =>
      await transact(
        world.chain,
        { address: wallet, abi: walletAbi },
        { functionName: 'approve', args: [nodeAddress, zeroAddress, amount] },
      )
    await approve(price - 1n)
    await later(node)
    expect(await waiting()).toEqual([[staked, 'stake_not_ours']])
    await approve(price)
    await later(node)
    expect(await waiting()).toEqual([])
    expect(await world.compute()).toBe(1)
    expect((await world.deliveries()).map(({ subscription }) => subscription)).toEqual([paid, staked, proven])
  })

  test('behavior: an owner that changes is noticed', async () => {
    const wallet = await walletOf(owner)
    let now = Date.now()
    const node = world.ticker({ paymentAddress: wallet, now: () => now })
    await world.look(node)
    expect(node.report().payment_wallet).toMatchObject({ own: false })
    await transact(
      world.chain,
      { address: wallet, abi: walletAbi },
      { functionName: 'transferOwnership', args: [nodeAddress] },
    )
    now += 29_000
    await world.look(node)
    expect(node.report().payment_wallet).toMatchObject({ own: false })
    now += 1_000
    await world.look(node)
    expect(node.report().payment_wallet).toEqual({
      valid: true,
      own: true,
      owner: nodeAddress,
      problem: null,
    })
    expect(world.lines.filter(ofWallet).map(({ event }) => event)).toEqual([
      'Payment wallet not usable',
      'Payment wallet usable',
    ])
  })

  test('behavior: that nobody tells whose it is changes nothing of what was known, nor of what does not pay', async () => {
    const wallet = await walletOf(nodeAddress)
    let now = Date.now()
    const node = world.ticker({ paymentAddress: wallet, now: () => now })
    const silence = () =>
      world.proxy.setOverride(({ params }) =>
        JSON.stringify(params).includes(ownerCall) ? { result: '0x' } : null,
      )
    silence()
    await ask()
    await world.look(node)
    expect(node.report().payment_wallet).toMatchObject({ valid: false, problem: expect.any(String) })
    expect(await world.compute()).toBe(1)
    world.proxy.setOverride(undefined)
    now += 30_000
    await world.look(node)
    expect(node.report().payment_wallet).toMatchObject({ valid: true, own: true, problem: null })
    silence()
    now += 600_000
    await world.look(node)
    expect(node.report().payment_wallet).toMatchObject({ valid: true, own: true, problem: null })
  })
})
