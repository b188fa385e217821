import { sql } from 'drizzle-orm'
import { type Address, decodeFunctionData, type Hex, hexToBytes } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { placeOf } from '../../../../src/edge/chain/guard/stagger.ts'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { anvilKey } from '../../../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { startTicking, type Ticking } from '../ticking.ts'
import { type GuardWorld, price, startGuardWorld } from './world.ts'

/** Two nodes, each with its database, and one place to fill. */

let world: GuardWorld
let rivals: Ticking
let node: ChainTick
let rival: ChainTick
const rivalSigner = createSigner(anvilKey(9))

/** Both have the answers, and nothing is sent. */
async function computed(said?: string): Promise<void> {
  await world.look(node)
  await rivals.look(rival)
  await world.compute(said)
  await rivals.compute(said)
}

/** Until whoever has lost knows. */
async function settled(): Promise<void> {
  for (let block = 0; block < 4; block += 1) {
    await world.mine()
    rivals.queue.clock.ms += 60_000
    await rivals.look(rival)
    await world.look(node)
  }
}

/** `dataTokens`: of its call data, as EIP-7623 counts: 1 for a byte that is zero, 4 for another. */
type Sent = { status: string; gasUsed: bigint; functionName: string; dataTokens: bigint }

function tokensOf(data: Hex): bigint {
  return hexToBytes(data).reduce((sum, byte) => sum + (byte === 0 ? 1n : 4n), 0n)
}

/** What an account has sent, in order. */
async function sentBy(address: Address): Promise<Sent[]> {
  const { chain } = world.chain.deployer
  const head = await chain.getBlockNumber({ cacheTime: 0 })
  const sent: Sent[] = []
  for (let number = 0n; number <= head; number += 1n) {
    const { transactions } = await chain.getBlock({ blockNumber: number, includeTransactions: true })
    for (const { from, hash, input } of transactions) {
      if (from.toLowerCase() !== address.toLowerCase()) continue
      const { functionName } = decodeFunctionData({ abi: eip712CoordinatorAbi, data: input as Hex })
      const { status, gasUsed } = await chain.getTransactionReceipt({ hash })
      sent.push({ status, gasUsed, functionName, dataTokens: tokensOf(input as Hex) })
    }
  }
  return sent
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
    rivals = await startTicking({ firstDeployment, chain: world.chain })
    node = world.node({ gas: { minPriorityFeePerGas: 2_000_000_000n } })
    rival = rivals.ticker({ signer: rivalSigner, paymentAddress: world.nodeWallet })
  })

  afterEach(async () => {
    await rivals?.close()
    await world?.close()
  })

  describe('one place', () => {
    test('default: whoever comes later simulates, and sends nothing', async () => {
      await world.askFor({ paid: true })
      await computed()
      await world.look(node)
      await rivals.mine()
      await rivals.look(rival)
      expect(await rivals.deliveries()).toMatchObject([{ state: 'dropped', reason: 'IntervalCompleted' }])
      expect(await sentBy(rivalSigner.address)).toEqual([])
    })

    const most = 30_000n
    test.each<[string, { paid: boolean; several: boolean; functionName: string }]>([
      ['unpaid', { paid: false, several: false, functionName: 'deliverCompute' }],
      ['paid, with bounds', { paid: true, several: false, functionName: 'deliverComputeBounded' }],
      ['two unpaid in a batch', { paid: false, several: true, functionName: 'deliverComputeBatch' }],
      ['two paid in a batch', { paid: true, several: true, functionName: 'deliverComputeBatch' }],
    ])(
      'behavior: at once, the loser wastes one transaction, one for each where there are no batches: %s',
      async (_, { paid, several, functionName }) => {
        await world.chain.anvil.setBalance({ address: world.payer, value: 4n * price })
        const ids = [await world.askFor({ paid }), ...(several ? [await world.askFor({ paid })] : [])]
        await computed()
        await world.holding(async () => {
          await rivals.look(rival)
          await world.look(node)
        })
        await settled()
        const lost = await sentBy(rivalSigner.address)
        expect(lost.map(({ functionName }) => functionName)).toEqual(
          firstDeployment ? ids.map(() => 'deliverCompute') : [functionName],
        )
        const gasUsed = lost.reduce((sum, { gasUsed }) => sum + gasUsed, 0n)
        expect(gasUsed).toBeLessThanOrEqual(most * BigInt(ids.length))
        expect(await world.fulfilled()).toEqual(ids)
        expect((await rivals.deliveries()).map(({ state }) => state)).toEqual(ids.map(() => 'dropped'))
      },
    )
  })

  describe('what the loser of one place wastes', () => {
    const transaction = 21_000n
    /** Until it is found that the place is taken. */
    const most = 7_000n
    test.each<[string, { paid: boolean; bytes: number }]>([
      ['unpaid, of a byte', { paid: false, bytes: 1 }],
      ['unpaid, of 100 bytes', { paid: false, bytes: 100 }],
      ['unpaid, of a KiB', { paid: false, bytes: 1_024 }],
      ['paid, with bounds, of a byte', { paid: true, bytes: 1 }],
      ['paid, with bounds, of 100 bytes', { paid: true, bytes: 100 }],
      ['paid, with bounds, of a KiB', { paid: true, bytes: 1_024 }],
    ])('behavior: as much as its call data takes, and little more: %s', async (_, { paid, bytes }) => {
      await world.askFor({ paid })
      await computed('x'.repeat(bytes))
      await world.holding(async () => {
        await rivals.look(rival)
        await world.look(node)
      })
      await settled()
      const lost = await sentBy(rivalSigner.address)
      expect(lost).toMatchObject([{ status: 'reverted' }])
      const { gasUsed = 0n, dataTokens = 0n } = lost[0] ?? {}
      expect(dataTokens).toBeGreaterThan(4n * BigInt(bytes))
      // The work comes on top of the one, and is in the other: the dearer counts.
      const [withWork, alone] = [transaction + 4n * dataTokens, transaction + 10n * dataTokens]
      expect(gasUsed).toBeGreaterThanOrEqual(alone)
      expect(gasUsed).toBeLessThanOrEqual(alone > withWork + most ? alone : withWork + most)
    })
  })

  describe('two places, among nodes that know of others', () => {
    const most = 30_000n
    test.each<[string, { paid: boolean; functionName: string }]>([
      ['unpaid', { paid: false, functionName: 'deliverCompute' }],
      ['paid, with bounds', { paid: true, functionName: 'deliverComputeBounded' }],
    ])(
      'behavior: at once, the loser wastes a transaction of its own for each: %s',
      async (_, { paid, functionName: ours }) => {
        // The first deployment's answers have no bounds.
        const functionName = firstDeployment ? 'deliverCompute' : ours
        await world.chain.anvil.setBalance({ address: world.payer, value: 4n * price })
        const ids = [await world.askFor({ paid }), await world.askFor({ paid })]
        rival = rivals.ticker({
          signer: rivalSigner,
          paymentAddress: world.nodeWallet,
          guard: { ...openGuard, stagger: { peers: [laterThan(rivalSigner.address, ids)], blocks: 1 } },
        })
        await computed()
        await world.holding(async () => {
          await rivals.look(rival)
          await world.look(node)
        })
        await settled()
        const lost = await sentBy(rivalSigner.address)
        expect(lost).toMatchObject([
          { functionName, status: 'reverted' },
          { functionName, status: 'reverted' },
        ])
        for (const { gasUsed } of lost) expect(gasUsed).toBeLessThanOrEqual(most)
        expect(await world.fulfilled()).toEqual(ids)
      },
    )

    /** Another node, which has a place after one's own in the first interval of each: nobody is waited for. */
    function laterThan(self: Address, ids: readonly number[]): Address {
      for (let tried = 1; ; tried += 1) {
        const other: Address = `0x${tried.toString(16).padStart(40, '0')}`
        const places = ids.map(subscription =>
          placeOf({ chain: world.chain.id, subscription, interval: 1, self, peers: [other] }),
        )
        if (places.every(place => place === 0)) return other
      }
    }
  })

  test('behavior: who withdraws between request and delivery costs a simulation, and no transaction', async () => {
    await world.askFor({ paid: true })
    await world.look(node)
    await world.compute()
    await world.withdraw()
    await world.mine()
    await world.look(node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'ETHTransferFailed' }])
    for (let tried = 0; tried < 12; tried += 1) {
      world.queue.clock.ms += 11 * 60_000
      await world.mine()
      await world.look(node)
    }
    expect(await world.deliveries()).toMatchObject([
      { state: 'dropped', reason: 'ETHTransferFailed', tx: null },
    ])
    expect(await world.queue.db.orm.all(sql`select 1 from transactions`)).toEqual([])
    expect(await world.record()).toMatchObject({ dropped: 1, reverted: 0, wasted: '0' })
    expect(await world.chain.deployer.chain.getBalance({ address: world.nodeWallet })).toBe(0n)
  })
})
