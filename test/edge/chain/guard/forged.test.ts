import { type Address, encodeErrorResult, type Hex, toHex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { noLimits, openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { RpcAnswer, RpcCall } from '../../../../src/edge/chain/rpc.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { type Asked, type Contract, deploy, fund, transact } from '../../../support/chain.ts'
import type { DeliveryState } from '../ticking.ts'
import { type GuardWorld, price, startGuardWorld } from './world.ts'

/** A consumer that lets a trial through, and takes no answer in the coordinator's own words: what it has cost is counted to it, on a real chain. */

const blameless = [
  'IntervalCompleted',
  'NodeRespondedAlready',
  'SubscriptionCompleted',
  'IntervalMismatch',
  'DeliveryTooLate',
  'PayoutTooLow',
  'FeeAboveTerms',
] as const
type ErrorName = (typeof blameless)[number] | 'Reentrancy' | 'PrepaymentStuck'

let world: GuardWorld
let node: ChainTick
let forging: Contract

const forge = async (errorName: ErrorName) =>
  await transact(world.chain, forging, {
    functionName: 'forge',
    args: [encoded(errorName)],
  })
const encoded = (errorName: ErrorName) => encodeErrorResult({ abi: eip712CoordinatorAbi, errorName })
const refused = (data: Hex): RpcAnswer => ({ error: { code: 3, message: 'execution reverted', data } })
/** Whether an estimate is of no answer, which goes to the coordinator. */
const isOfNone = ({ params: [call] }: RpcCall) => !(call as { to?: Address }).to
const ask = async (asked: Asked & { paid?: boolean } = {}) => await world.askFor({ from: forging, ...asked })
const record = async () => await world.record(forging.address)

/** Computed, and tried so often; the clock of the pauses goes on, and that of the chain as far as it is told. */
async function tryAnswers(times: number, { seconds = 0 } = {}): Promise<void> {
  for (let tried = 0; tried < times; tried++) {
    await world.look(node)
    await world.compute()
    await world.look(node)
    world.queue.clock.ms += 15 * 60_000
    await (seconds > 0 ? world.chain.warp(seconds) : world.mine())
  }
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
    node = world.node({ guard: { ...openGuard, limits: { ...noLimits, dropped: 1 } } })
    const odd = { name: 'ForgingConsumer', file: 'OddConsumers', args: [world.chain.registry] }
    forging = await deploy(world.chain, odd)
  })
  afterEach(async () => await world?.close())

  test.for(blameless)('default: %s out of the callback is the consumer’s own', async name => {
    await forge(name)
    await ask()
    await tryAnswers(4)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'reverted' }])
    expect(await record()).toMatchObject({ dropped: 1, reverted: 0 })
    await ask()
    await world.look(node)
    expect(await world.compute()).toBe(0)
  })

  test('behavior: whoever was refused for something else before is accused at the second look', async () => {
    await forge('Reentrancy')
    await ask()
    await tryAnswers(2)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'Reentrancy', tries: 2 }])
    await forge('IntervalCompleted')
    await tryAnswers(1)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'reverted' }])
    await tryAnswers(1)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'reverted' }])
    expect(await record()).toMatchObject({ dropped: 1 })
  })

  test('behavior: an endpoint that runs out of time until the interval is over accuses nobody', async () => {
    await ask({ frequency: 9, period: 600 })
    await world.chain.warp(610)
    await world.look(node)
    await world.compute()
    world.proxy.setOverride(({ method }) =>
      method === 'eth_estimateGas'
        ? { error: { code: -32_000, message: 'execution aborted (timeout = 5s)' } }
        : null,
    )
    await world.look(node)
    expect((await world.deliveries())[0]).toMatchObject({ state: 'computed', reason: 'unclear' })
    world.queue.clock.ms += 15 * 60_000
    await world.chain.warp(600)
    await world.look(node)
    expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
    expect(await record()).toBeNull()
  })

  /** An answer within its interval, of which an endpoint tells what it is told to, and which is late by the next look. */
  async function lateAfter(
    told: (call: RpcCall) => RpcAnswer | null,
    { seconds = 1_000 } = {},
  ): Promise<DeliveryState | undefined> {
    await ask({ frequency: 9, period: 600 })
    await world.chain.warp(seconds)
    await world.look(node)
    await world.compute()
    world.proxy.setOverride(call => (call.method === 'eth_estimateGas' ? told(call) : null))
    await world.look(node)
    const [looked] = await world.deliveries()
    world.queue.clock.ms += 15 * 60_000
    await world.chain.warp(600)
    await world.look(node)
    return looked
  }

  test('behavior: an endpoint whose estimates go by the clock of the block to come accuses nobody', async () => {
    const time = toHex(4_000_000_000, { size: 32 })
    expect(
      await lateAfter(call => refused(isOfNone(call) ? time : encoded('IntervalMismatch'))),
    ).toMatchObject({ state: 'dropped', reason: 'IntervalMismatch' })
    expect(await record()).toBeNull()
  })

  test('behavior: an endpoint that does not tell the clock of its estimates accuses nobody', async () => {
    expect(await lateAfter(() => refused(encoded('IntervalMismatch')))).toMatchObject({
      state: 'computed',
      reason: 'unclear',
      tries: 0,
    })
    expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
    expect(await record()).toBeNull()
  })

  test('behavior: an answer long before the end is late by no clock, though none is told', async () => {
    const told = await lateAfter(call => refused(isOfNone(call) ? '0x' : encoded('IntervalMismatch')), {
      seconds: 630,
    })
    expect(told).toMatchObject({ state: 'computed', reason: 'reverted', tries: 1 })
    expect(await record()).toMatchObject({ dropped: 1 })
  })

  test('behavior: an endpoint that fails whatever comes with the question for its clock stops nothing', async () => {
    const isOfClock = (call: RpcCall) => call.method === 'eth_estimateGas' && isOfNone(call)
    world.proxy.setFault(({ calls }) => (calls.some(isOfClock) ? { kind: 'status', status: 403 } : null))
    expect(await lateAfter(() => refused(encoded('IntervalMismatch')))).toMatchObject({
      state: 'computed',
      reason: 'unclear',
    })
    expect(await record()).toBeNull()
  })

  test('behavior: an answer that nothing ends is late by no clock, though none is told', async () => {
    await forge('IntervalMismatch')
    world.proxy.setOverride(call =>
      call.method === 'eth_estimateGas' && isOfNone(call) ? refused('0x') : null,
    )
    await ask()
    await tryAnswers(4)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'reverted' }])
    expect(await record()).toMatchObject({ dropped: 1 })
  })

  test('behavior: an endpoint that has another block, and says once what others do not, accuses nobody', async () => {
    let told = 0
    expect(
      await lateAfter(() => (told++ === 0 ? refused(encoded('IntervalCompleted')) : null)),
    ).toMatchObject({ state: 'computed', reason: 'unclear', tries: 0 })
    expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
    expect(await record()).toBeNull()
  })

  test.for(['PayoutTooLow', 'FeeAboveTerms'] as const)('behavior: %s, of one that pays', async name => {
    await forge(name)
    const wallet = await fund(world.chain, { spender: forging.address, amount: price })
    await ask({ paid: true, wallet })
    await tryAnswers(4)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'reverted' }])
    expect(await record()).toMatchObject({ dropped: 1 })
  })

  test.for(['Reentrancy', 'PrepaymentStuck', 'IntervalMismatch'] as const)(
    'behavior: %s until the interval is over is no late answer of the node’s',
    async name => {
      await forge(name)
      await ask({ frequency: 9, period: 600 })
      await world.chain.warp(610)
      await tryAnswers(1, { seconds: 600 })
      await world.look(node)
      expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
      expect(await record()).toMatchObject({ dropped: 1 })
    },
  )

  test('behavior: an answer that another node’s came before is nobody’s fault', async () => {
    await ask()
    await world.look(node)
    await world.compute()
    const { wallet, chain } = world.chain.deployer
    const hash = await wallet.writeContract({
      address: world.chain.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'deliverCompute',
      args: [1, 1, '0x', `0x${'00'.repeat(32)}`, '0x', world.nodeWallet],
    })
    await chain.waitForTransactionReceipt({ hash })
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'IntervalCompleted' }])
    expect(await record()).toBeNull()
  })
})
