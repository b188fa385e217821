import fc from 'fast-check'
import { type Address, type Hex, zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endingOf } from '../../../src/edge/chain/ending.ts'
import { beginOf, cancelledAt, endOf, intervalAt, isOver } from '../../../src/edge/chain/interval.ts'
import {
  anvilAccount,
  createDeployer,
  type LocalChain,
  startLocalChain,
} from '../../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'
import { readerAbi } from '../../../src/protocol/abi/reader.ts'
import { readFixture } from '../../contracts/fixture.ts'
import { subscriptionOf } from './subscription.ts'

const Schedule = fc.record({
  activeAt: fc.integer({ min: 0, max: 2_000 }),
  period: fc.constantFrom(0, 1, 7, 60),
  frequency: fc.integer({ min: 0, max: 5 }),
  expiresAt: fc.constantFrom(0, 0, 500, 1_030),
})
const Time = fc.integer({ min: 0, max: 2_500 })

describe('arithmetic', () => {
  test('behavior: an interval that is open has begun and has not ended; what is over is never open again', () => {
    fc.assert(
      fc.property(Schedule, Time, fc.nat(1_000), (schedule, time, more) => {
        const interval = intervalAt(schedule, time)
        if (isOver(schedule, time)) expect([interval, intervalAt(schedule, time + more)]).toEqual([0, 0])
        if (interval === 0) return
        expect(interval).toBeLessThanOrEqual(schedule.frequency)
        expect(beginOf(schedule, interval)).toBeLessThanOrEqual(time)
        const end = endOf(schedule, interval)
        if (end === null) expect(intervalAt(schedule, time + more)).toBe(interval)
        else {
          expect(time).toBeLessThan(end)
          expect(intervalAt(schedule, end - 1)).toBe(interval)
          expect(intervalAt(schedule, end)).not.toBe(interval)
        }
      }),
    )
  })

  test('behavior: what is not over will be open at some time', () => {
    fc.assert(
      fc.property(Schedule, Time, (schedule, time) => {
        if (isOver(schedule, time)) return
        const begins = Math.max(time, schedule.activeAt)
        const reached = schedule.expiresAt === 0 || begins < schedule.expiresAt
        expect(intervalAt(schedule, begins) > 0).toBe(reached)
      }),
    )
  })

  test('behavior: a cancelled one is over at any time', () => {
    const cancelled = { activeAt: cancelledAt, period: 0, frequency: 1, expiresAt: 0 }
    for (const time of [0, cancelledAt - 1, cancelledAt])
      expect([intervalAt(cancelled, time), isOver(cancelled, time)]).toEqual([0, true])
  })
})

describe('against the contract', () => {
  let local: LocalChain
  let deployer: ReturnType<typeof createDeployer>
  let consumer: { address: Address; abi: ReturnType<typeof readFixture>['abi'] }
  const node = anvilAccount(5)

  const raw = (method: string, params: readonly unknown[]) =>
    (deployer.chain.request as (request: { method: string; params: readonly unknown[] }) => Promise<unknown>)(
      {
        method,
        params,
      },
    )

  beforeAll(async () => {
    local = await startLocalChain()
    deployer = createDeployer(local.rpcUrl, anvilAccount(4))
    const { abi, bytecode } = readFixture('Consumers', 'EmptyConsumer')
    const hash = await deployer.wallet.deployContract({ abi, bytecode, args: [local.registry] })
    const { contractAddress } = await deployer.chain.waitForTransactionReceipt({ hash })
    consumer = { address: contractAddress!, abi }
  }, 300_000)
  afterAll(async () => await local.close())

  async function open(terms: { period: number; frequency: number; redundancy: number; expiresAt: number }) {
    const id = await deployer.chain.readContract({
      address: local.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'id',
    })
    const { frequency, period, redundancy, expiresAt } = terms
    const hash = await deployer.wallet.writeContract({
      ...consumer,
      functionName: 'open',
      args: [
        {
          containerId: 'a',
          frequency,
          period,
          redundancy,
          lazy: false,
          paymentToken: zeroAddress,
          paymentAmount: 0n,
          wallet: zeroAddress,
          verifier: zeroAddress,
        },
        { expiresAt, maxFee: 0, prepaid: false, committed: false, refundOnSilence: false },
      ],
    })
    await deployer.chain.waitForTransactionReceipt({ hash })
    return id
  }

  /** A block at this time, and whether a delivery would be accepted in one of the same time. */
  async function accepts(id: number, interval: number): Promise<boolean> {
    const { coordinator: address } = local
    return await deployer.chain
      .simulateContract({
        account: node.address,
        address,
        abi: eip712CoordinatorAbi,
        functionName: 'deliverCompute',
        args: [id, interval, '0x', '0x', '0x', zeroAddress],
      })
      .then(
        () => true,
        () => false,
      )
  }

  const Asked = fc.record({
    terms: fc.oneof(
      fc.constant({ period: 0, frequency: 1 }),
      fc.record({ period: fc.constantFrom(3, 60), frequency: fc.integer({ min: 1, max: 3 }) }),
    ),
    redundancy: fc.constantFrom(1, 2),
    lasts: fc.constantFrom(0, 0, 100, 150),
    /** Seconds from one look to the next; the longest pass the end. */
    looks: fc.array(fc.constantFrom(1, 2, 3, 59, 60, 61, 130), { minLength: 1, maxLength: 5 }),
  })

  test('behavior: the interval that is open is the one that the contract accepts, and no other', async () => {
    await fc.assert(
      fc.asyncProperty(Asked, async ({ terms: { period, frequency }, redundancy, lasts, looks }) => {
        const { timestamp } = await deployer.chain.getBlock()
        const expiresAt = lasts === 0 ? 0 : Number(timestamp) + period + lasts
        const id = await open({ period, frequency, redundancy, expiresAt })
        for (const seconds of looks) {
          await raw('evm_increaseTime', [seconds])
          await raw('evm_mine', [])
          const [status] = await deployer.chain.readContract({
            address: local.reader,
            abi: readerAbi,
            functionName: 'readStatusBatch',
            args: [id, id + 1, node.address, 1_000],
          })
          if (!status) throw new Error('Not read')
          const block = await deployer.chain.getBlock()
          const time = Number(block.timestamp)
          const { activeAt } = status.subscription
          const subscription = subscriptionOf({ id, activeAt, period, frequency, redundancy, expiresAt })
          const interval = intervalAt(subscription, time)
          expect({ interval: status.interval, time }).toEqual({ interval, time })
          if (interval > 0)
            expect(interval).toBe(
              await deployer.chain.readContract({
                address: local.coordinator,
                abi: eip712CoordinatorAbi,
                functionName: 'getSubscriptionInterval',
                args: [activeAt, period],
              }),
            )
          const ending = endingOf({ subscription, interval, count: status.count }, time)
          const isOpen = interval > 0 && ending === null
          const answers = await Promise.all([1, 2, 3, 4].map(place => accepts(id, place)))
          expect(answers).toEqual([1, 2, 3, 4].map(place => isOpen && place === interval))
        }
      }),
      { numRuns: 25 },
    )
  }, 120_000)

  test('behavior: one that was cancelled takes nothing', async () => {
    const id = await open({ period: 0, frequency: 1, redundancy: 1, expiresAt: 0 })
    expect(await accepts(id, 1)).toBe(true)
    const hash: Hex = await deployer.wallet.writeContract({ ...consumer, functionName: 'cancel', args: [id] })
    await deployer.chain.waitForTransactionReceipt({ hash })
    expect(await accepts(id, 1)).toBe(false)
    const { activeAt } = await deployer.chain.readContract({
      address: local.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'getSubscription',
      args: [id],
    })
    expect(activeAt).toBe(cancelledAt)
  })
})
