import fc from 'fast-check'
import { parseEther } from 'viem'
import { afterEach, expect, test } from 'vitest'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { transact } from '../../../support/chain.ts'
import { type Coin, coins, type Paying, startPaying, sumsOf } from './paying.ts'

/**
 * Random histories of paid and unpaid answers on a real chain, on either deployment, with wallets that are emptied and filled and reorganisations of every depth:
 * what the books say is what the chain's balances say.
 */

/** A long run: `MODEL_RUNS=300 npm test -- ledger/model`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 8)

type Op =
  | { op: 'ask'; coin: Coin; amount: bigint; times: number }
  | { op: 'reorg'; depth: number; kept: boolean }
  | { op: 'allow'; coin: Coin; amount: bigint }
  | { op: 'look' | 'compute' | 'mine' | 'hold' | 'release' }

const coin = fc.constantFrom(...coins)
const operations: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('ask' as const),
      coin,
      amount: fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: parseEther('3') })),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('reorg' as const),
      depth: fc.integer({ min: 1, max: 8 }),
      kept: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('allow' as const),
      coin,
      amount: fc.bigInt({ min: 0n, max: parseEther('2') }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      op: fc.constantFrom(
        'look' as const,
        'compute' as const,
        'mine' as const,
        'hold' as const,
        'release' as const,
      ),
    }),
  },
)

const histories = fc.array(operations, { minLength: 8, maxLength: 24 })

let world: Paying | undefined
afterEach(async () => await world?.close())

async function apply(world: Paying, op: Op): Promise<void> {
  const { chain, node } = world
  if (op.op === 'look') await world.look(node)
  else if (op.op === 'compute') await world.compute()
  else if (op.op === 'mine') await world.mine()
  // Transactions wait, and are mined side by side.
  else if (op.op === 'hold') await chain.anvil.setAutomine(false)
  else {
    await release(world)
    if (op.op === 'ask') for (let i = 0; i < op.times; i++) await world.askFor(op.coin, op.amount)
    if (op.op === 'reorg') {
      // Never what was there at the beginning.
      await world.mine(op.depth)
      await world.reorganise(op.depth, { kept: op.kept })
    }
    if (op.op === 'allow') await allow(world, op.coin, op.amount)
  }
}

async function release({ chain }: Paying): Promise<void> {
  await chain.anvil.setAutomine(true)
  await chain.anvil.mine({ blocks: 1 })
}

async function allow({ chain, payer, consumer, tokens }: Paying, coin: Coin, amount: bigint): Promise<void> {
  const wallet = { address: payer, abi: walletAbi }
  await transact(chain, wallet, {
    functionName: 'approve',
    args: [consumer.address, tokens[coin], amount],
  })
}

/** Everything that was asked for is answered, or has no money. */
async function settle(world: Paying): Promise<void> {
  await release(world)
  for (let quiet = 0, round = 0; quiet < 3; round++) {
    if (round > 60) throw new Error(`It does not settle: ${JSON.stringify(await world.deliveries())}`)
    await world.look(world.node)
    const computed = await world.compute()
    await world.mine()
    const states = await world.states()
    const isMoving = computed > 0 || states.some(state => state === 'sending' || state === 'computing')
    quiet = isMoving ? 0 : quiet + 1
  }
}

test('property: the books say what the chain says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), histories, async (firstDeployment, history) => {
      const paying = await startPaying({ firstDeployment })
      world = paying
      await paying.mine(10)
      for (const op of history) await apply(paying, op)
      await settle(paying)
      expect(sumsOf(await paying.entries(), paying.tokens)).toEqual(await paying.balances())
      await paying.close()
      world = undefined
    }),
    { numRuns, endOnFailure: true },
  )
}, 600_000)
