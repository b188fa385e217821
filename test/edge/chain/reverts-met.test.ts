import { sql } from 'drizzle-orm'
import { type Address, encodeFunctionData, type Hex, parseEther, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../../../src/protocol/abi/wallet.ts'
import {
  type Contract,
  createdBy,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
  transact,
} from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

/**
 * Each custom error that a delivery of this node can meet, from real contracts that got there by real calls, between the answer and its
 * sending: whether it is dropped or tried again, and that it is delivered once the obstacle is gone. What no delivery of ours meets:
 *
 * - `SubscriptionNotFound`: only a reorganisation takes a subscription away, and the tick that notices ends it as vanished before it delivers.
 * - `SubscriptionCompleted`: no interval beyond the last is ever begun.
 * - `CommitmentRequired`, `NotCommitted`: what wants commitments is refused, by terms that cannot change.
 * - `DeliveryTooLate`, `UnexpectedSubscription`, `PayoutTooLow`, `StakeTooHigh`: of deliveries with bounds, which have tests of their own (`guard/bounds`).
 * - `SignerMismatch`, `SignatureExpired`, `NonceUsed`, `NonceInvalidated`, `DelegationMismatch`: of deliveries that bring a signature along.
 * - `UnauthorizedVerifier`, `ProofRequestNotFound`: of verdicts. Out of a delivery, any but its own verifier's meets `Reentrancy`.
 * - `NoInterval`, `NoRedundancy`, `InvalidPeriod`, `InvalidOwner`, `InvalidVerifier`, `InvalidTerms`, `SubscriptionNotEnded`,
 *   `NotDelegator`, `FeeTooHigh`, `WalletExists`, `NoImplementation`, `NotCoordinator`: of other calls; a consumer may make them, and is then
 *   as any other that fails with an error of its own.
 */

let world: Ticking
let consumer: Contract
let node: ChainTick
let nodeWallet: Address

const price = parseEther('1')
const wallet = (address: Address): Contract => ({ address, abi: walletAbi as never })
const self = () => world.chain.deployer.wallet.account.address

type Delivered = { state: string; reason: string | null; tries: number }

const deliveries = async () =>
  await world.queue.db.orm.all<Delivered>(
    sql`select state, reason, tries from deliveries order by subscription, interval`,
  )

/** Its answer is there, and was not sent. */
async function answered(): Promise<void> {
  await world.look(node)
  expect(await world.compute()).toBe(1)
}

async function isDropped(reason: string): Promise<void> {
  await world.look(node)
  expect(await deliveries()).toEqual([{ state: 'dropped', reason, tries: 0 }])
  expect(await world.queue.db.orm.all(sql`select nonce from transactions`)).toEqual([])
}

/** Tried again, without a nonce taken; and delivered after it was mended. */
async function isTriedAgain(reason: string, mend: () => Promise<unknown>): Promise<void> {
  await world.look(node)
  expect(await deliveries()).toEqual([{ state: 'computed', reason, tries: 1 }])
  expect(await world.queue.db.orm.all(sql`select nonce from transactions`)).toEqual([])
  await mend()
  world.queue.clock.ms += 60_000
  await world.look(node)
  await world.mine()
  await world.look(node)
  expect(await deliveries()).toEqual([{ state: 'delivered', reason: null, tries: 1 }])
}

/** Another one's answer, sent by the deployer or in the node's own name. */
async function deliverAs(id: number, { name = self(), payTo = zeroAddress as Address } = {}): Promise<void> {
  const data = encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'deliverCompute',
    args: [id, 1, '0x', '0x', '0x', payTo],
  })
  await world.request('anvil_impersonateAccount', name)
  const hash = (await world.request('eth_sendTransaction', {
    from: name,
    to: world.chain.coordinator,
    data,
  })) as Hex
  await world.request('anvil_stopImpersonatingAccount', name)
  const { status } = await world.chain.deployer.chain.waitForTransactionReceipt({ hash })
  expect(status).toBe('success')
}

// Terms and prepayments are of our contracts alone.
describe.each([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment, container: { generates_proofs: true } })
    consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
    nodeWallet = await fund(world.chain, { spender: nodeAddress, amount: price })
    node = world.ticker({ paymentAddress: nodeWallet })
  })
  afterEach(async () => await world?.close())

  describe('of an interval', () => {
    test('default: IntervalCompleted', async () => {
      const id = await createSubscription(world.chain, consumer)
      await answered()
      await deliverAs(id)
      await isDropped('IntervalCompleted')
    })

    test('default: NodeRespondedAlready', async () => {
      const id = await createSubscription(world.chain, consumer, { redundancy: 2 })
      await answered()
      await deliverAs(id, { name: nodeAddress })
      await isDropped('NodeRespondedAlready')
    })

    test('default: SubscriptionNotActive, of what was cancelled', async () => {
      const id = await createSubscription(world.chain, consumer)
      await answered()
      await transact(world.chain, consumer, { functionName: 'cancel', args: [id] })
      await world.chain.warp(60)
      await isDropped('SubscriptionNotActive')
    })

    test('default: IntervalMismatch, when a reorganisation has put the clock back behind its beginning', async () => {
      await createSubscription(world.chain, consumer, { frequency: 9, period: 600 })
      await world.chain.warp(595)
      await world.look(node)
      await world.chain.warp(600)
      await world.chain.warp(6)
      await answered()
      await world.reorganise(1)
      // What was begun at the undone block stays, and its interval is about to begin.
      await isTriedAgain('IntervalMismatch', () => world.chain.warp(10))
    })
  })

  describe('of a payment', () => {
    /** A callback that pays out of a wallet with so much more in it. @returns that wallet. */
    async function paying({ more = 0n } = {}): Promise<Address> {
      const payer = await fund(world.chain, { spender: consumer.address, amount: price + more })
      await createSubscription(world.chain, consumer, { amount: price, wallet: payer })
      await answered()
      return payer
    }
    const withdraw = async (from: Address, amount: bigint, token: Address = zeroAddress) =>
      await transact(world.chain, wallet(from), { functionName: 'withdraw', args: [token, amount] })
    const approve = async (by: Address, amount: bigint) =>
      await transact(world.chain, wallet(by), {
        functionName: 'approve',
        args: [consumer.address, zeroAddress, amount],
      })
    const refill = async (to: Address) => {
      const hash = await world.chain.deployer.wallet.sendTransaction({ to, value: price })
      await world.chain.deployer.chain.waitForTransactionReceipt({ hash })
    }

    test('default: InvalidWallet, of a node that is told to be paid elsewhere', async () => {
      await paying()
      const rightly = node
      node = world.ticker({ paymentAddress: nodeAddress })
      await isTriedAgain('InvalidWallet', async () => {
        node = rightly
        // Call data names who is paid.
        await world.queue.db.orm.run(sql`update deliveries set call = null`)
      })
    })

    test('default: InsufficientAllowance', async () => {
      const payer = await paying()
      await approve(payer, 0n)
      await isTriedAgain('InsufficientAllowance', () => approve(payer, price))
    })

    test('default: ETHTransferFailed', async () => {
      const payer = await paying()
      await withdraw(payer, price)
      await isTriedAgain('ETHTransferFailed', () => refill(payer))
    })

    test('default: InsufficientFunds, of a wallet whose rest is locked', async () => {
      const payer = await paying({ more: price })
      await prepaid({ payer, token: zeroAddress, container: 'another' })
      await withdraw(payer, price)
      await isTriedAgain('InsufficientFunds', () => refill(payer))
    })

    test('default: TransferFailed, of a token', async () => {
      const token = await tokenOf('Token', 'Tokens')
      const payer = await fund(world.chain, { spender: consumer.address, amount: 0n, token: token.address })
      await transact(world.chain, token, { functionName: 'mint', args: [payer, price] })
      await createSubscription(world.chain, consumer, { amount: price, wallet: payer, token: token.address })
      await answered()
      await withdraw(payer, price, token.address)
      await isTriedAgain('TransferFailed', () =>
        transact(world.chain, token, { functionName: 'mint', args: [payer, price] }),
      )
    })

    test.skipIf(firstDeployment).each([
      ['FeeAboveTerms', false],
      ['PayoutTooLow', true],
    ])('default: %s; with bounds: %s', async (reason, isBounded) => {
      const payer = await fund(world.chain, { spender: consumer.address, amount: price })
      const fee: Contract = { address: world.chain.fee, abi: feeAbi as never }
      const setFee = async (basisPoints: number) =>
        await transact(world.chain, fee, { functionName: 'updateFee', args: [basisPoints] })
      await open({ payer, token: zeroAddress }, { maxFee: 10 })
      await answered()
      // As it is where the fee could not be read when it was begun.
      if (!isBounded) await world.queue.db.orm.run(sql`update deliveries set min_payout = null`)
      await setFee(11)
      await isTriedAgain(reason, () => setFee(isBounded ? 0 : 10))
    })

    test.skipIf(firstDeployment)(
      'behavior: a fee above its terms by then is no fault of the consumer’s',
      async () => {
        const payer = await fund(world.chain, { spender: consumer.address, amount: price })
        await open({ payer, token: zeroAddress }, { maxFee: 10 })
        await answered()
        const { orm } = world.queue.db
        await orm.run(sql`update deliveries set min_payout = null, tries = 9`)
        const fee: Contract = { address: world.chain.fee, abi: feeAbi as never }
        await transact(world.chain, fee, { functionName: 'updateFee', args: [11] })
        await world.look(node)
        expect(await deliveries()).toEqual([{ state: 'dropped', reason: 'FeeAboveTerms', tries: 9 }])
        expect(await orm.all(sql`select dropped from consumers`)).toEqual([])
      },
    )
  })

  describe.skipIf(firstDeployment)('of what is prepaid', () => {
    test('default: SubscriptionExpired, of what was cancelled', async () => {
      const payer = await fund(world.chain, { spender: consumer.address, amount: price })
      const id = await prepaid({ payer, token: zeroAddress })
      await answered()
      await transact(world.chain, consumer, { functionName: 'cancel', args: [id] })
      await world.chain.warp(3_601)
      await isDropped('SubscriptionExpired')
    })

    test('default: PrepaymentStuck', async () => {
      const token = await tokenOf('StrangeToken')
      const payer = await fund(world.chain, { spender: consumer.address, amount: 0n, token: token.address })
      await transact(world.chain, token, { functionName: 'mint', args: [payer, price] })
      await prepaid({ payer, token: token.address })
      await answered()
      const block = async (isBlocked: boolean) =>
        await transact(world.chain, token, { functionName: 'setBlocked', args: [nodeWallet, isBlocked] })
      await block(true)
      await isTriedAgain('PrepaymentStuck', () => block(false))
    })

    test('default: PrepaymentSpent, on an answer that was rejected, and whose stake did not arrive', async () => {
      const token = await tokenOf('StrangeToken')
      const verifier = await deployVerifier()
      const payer = await fund(world.chain, { spender: consumer.address, amount: 0n, token: token.address })
      const other = await fund(world.chain, { spender: self(), amount: 0n, token: token.address })
      for (const to of [payer, other, nodeWallet])
        await transact(world.chain, token, { functionName: 'mint', args: [to, price] })
      // What backs the node's own proof.
      await transact(world.chain, wallet(nodeWallet), {
        functionName: 'approve',
        args: [nodeAddress, token.address, price],
      })
      const id = await prepaid({ payer, token: token.address, verifier: verifier.address })
      await answered()
      await transact(world.chain, token, { functionName: 'setBlocked', args: [other, true] })
      await transact(world.chain, verifier, { functionName: 'setVerdict', args: [false] })
      await deliverAs(id, { payTo: other })
      await isDropped('PrepaymentSpent')
    })
  })

  test('default: UnsupportedVerifierToken', async () => {
    const verifier = await deployVerifier()
    const payer = await fund(world.chain, { spender: consumer.address, amount: price })
    await createSubscription(world.chain, consumer, {
      amount: price,
      wallet: payer,
      verifier: verifier.address,
    })
    await answered()
    await transact(world.chain, verifier, { functionName: 'refuse', args: [zeroAddress] })
    await isDropped('UnsupportedVerifierToken')
  })

  describe('of a consumer', () => {
    /** One that makes a call when it is answered, and passes on what the call fails with. */
    async function calling(target: Address, data: Hex) {
      const odd = { name: 'CallingConsumer', file: 'OddConsumers', args: [world.chain.registry] }
      const caller = await deploy(world.chain, odd)
      const callBack = async (to: Address, what: Hex) =>
        await transact(world.chain, caller, { functionName: 'callBack', args: [to, what] })
      await createSubscription(world.chain, caller)
      await answered()
      await callBack(target, data)
      // An account without code takes any call.
      return async () => await callBack(self(), '0x')
    }

    test('default: Reentrancy', async () => {
      const data = encodeFunctionData({
        abi: eip712CoordinatorAbi,
        functionName: 'deliverCompute',
        args: [1, 1, '0x', '0x', '0x', zeroAddress],
      })
      const mend = await calling(world.chain.coordinator, data)
      await isTriedAgain('Reentrancy', mend)
    })

    test('default: NotSubscriptionOwner', async () => {
      const id = await createSubscription(world.chain, consumer, { container: 'another' })
      const data = encodeFunctionData({
        abi: eip712CoordinatorAbi,
        functionName: 'cancelSubscription',
        args: [id],
      })
      await calling(world.chain.coordinator, data)
      await isDropped('NotSubscriptionOwner')
    })

    test('default: InsufficientBalance', async () => {
      const token = await tokenOf('Token', 'Tokens')
      const data = encodeFunctionData({
        abi: token.abi,
        functionName: 'transfer',
        args: [self(), 1n],
      })
      const mend = await calling(token.address, data)
      await isTriedAgain('InsufficientBalance', mend)
    })

    test('default: NodeNotAllowed', async () => {
      const choosing = await deploy(world.chain, {
        name: 'ChoosingConsumer',
        file: 'Consumers',
        args: [world.chain.registry, [nodeAddress]],
      })
      await createSubscription(world.chain, choosing)
      await answered()
      await transact(world.chain, choosing, { functionName: 'update', args: [[nodeAddress], [false]] })
      await isDropped('NodeNotAllowed')
    })

    test('behavior: an error that nobody knows is tried three times', async () => {
      const odd = { name: 'RefusingConsumer', file: 'OddConsumers', args: [world.chain.registry] }
      await createSubscription(world.chain, await deploy(world.chain, odd))
      await answered()
      for (const tries of [1, 2]) {
        await world.look(node)
        expect(await deliveries()).toEqual([{ state: 'computed', reason: 'reverted', tries }])
        world.queue.clock.ms += 60_000
      }
      await world.look(node)
      expect(await deliveries()).toEqual([{ state: 'dropped', reason: 'reverted', tries: 2 }])
    })
  })
})

const feeAbi = [
  {
    type: 'function',
    name: 'updateFee',
    stateMutability: 'nonpayable',
    inputs: [{ name: 'newFee', type: 'uint16' }],
    outputs: [],
  },
] as const

const tokenOf = async (name: string, file = name) => await deploy(world.chain, { name, file })
const deployVerifier = async () =>
  await deploy(world.chain, {
    name: 'AtomicVerifier',
    file: 'Verifiers',
    args: [world.chain.coordinator],
  })

type Paid = { payer: Address; token: Address; verifier?: Address; container?: string }

/** A callback with terms. */
async function open(
  { payer, token, verifier = zeroAddress, container = 'echo' }: Paid,
  terms: { prepaid?: boolean; maxFee?: number; expiresAt?: number },
): Promise<number> {
  const request = {
    containerId: container,
    frequency: 1,
    period: 0,
    redundancy: 1,
    lazy: false,
    paymentToken: token,
    paymentAmount: price,
    wallet: payer,
    verifier,
  }
  const all = { expiresAt: 0, maxFee: 0, prepaid: false, committed: false, refundOnSilence: false, ...terms }
  return await createdBy(world.chain, consumer, { functionName: 'open', args: [request, all] })
}

async function prepaid(paid: Paid): Promise<number> {
  const { timestamp } = await world.chain.deployer.chain.getBlock()
  return await open(paid, { prepaid: true, expiresAt: Number(timestamp) + 100_000 })
}
