import fc from 'fast-check'
import { parseEther } from 'viem'
import { afterEach, expect, test } from 'vitest'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { transact } from '../../../support/chain.ts'
import { type Judge, type Market, startMarket } from './market.ts'
import { type Coin, coins } from './paying.ts'

/**
 * Random histories of two nodes on a real chain, on either deployment: answers that are paid or not, with proofs that are judged at once, later or
 * never, signed requests, wallets that are emptied and filled, a token that blocks some of them, so that they owe one another, and debts that
 * somebody claims, fees that somebody else gets, and reorganisations of every depth: what the books say is what the chain's balances say.
 */

/** A long run: `MODEL_RUNS=300 npm test -- ledger/model`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 10)
const week = 604_800

type Asked = { coin: Coin; amount: bigint; judge: Judge }
type Op =
  | (Asked & { op: 'ask'; times: number; redundancy: number })
  | (Asked & { op: 'sign'; places: number[] })
  | { op: 'reorg'; depth: number; kept: boolean }
  | { op: 'allow'; coin: Coin; amount: bigint }
  | { op: 'judge'; place: number; valid: boolean }
  | { op: 'set'; valid: boolean }
  | { op: 'look'; place: number }
  | { op: 'block'; whose: number | 'consumer'; blocked: boolean }
  | { op: 'owe'; place: number; valid: boolean }
  | { op: 'compute' | 'mine' | 'hold' | 'release' | 'week' | 'race' | 'claim' | 'pass' }

const coin = fc.constantFrom(...coins)
const asked = {
  coin,
  amount: fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: parseEther('3') })),
  judge: fc.constantFrom<Judge>('none', 'atomic', 'optimistic'),
}
const place = fc.constantFrom(0, 1)
const ops = <Name extends string>(...names: Name[]) => fc.constantFrom(...names)
const operations: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: ops('ask'),
      ...asked,
      times: fc.integer({ min: 1, max: 3 }),
      redundancy: fc.constantFrom(1, 1, 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: ops('sign'), ...asked, places: fc.constantFrom<number[]>([0], [1], [0, 1]) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: ops('reorg'),
      depth: fc.integer({ min: 1, max: 8 }),
      kept: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: ops('allow'), coin, amount: fc.bigInt({ min: 0n, max: parseEther('2') }) }),
  },
  { weight: 2, arbitrary: fc.record({ op: ops('judge'), place, valid: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: ops('set'), valid: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: ops('block'),
      whose: fc.constantFrom<number | 'consumer'>(0, 1, 'consumer'),
      blocked: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ op: ops('owe'), place, valid: fc.boolean() }) },
  { weight: 7, arbitrary: fc.record({ op: ops('look'), place }) },
  {
    weight: 9,
    arbitrary: fc.record({
      op: ops('compute', 'compute', 'mine', 'hold', 'release', 'week', 'race', 'race', 'claim', 'pass'),
    }),
  },
)

const histories = fc.array(operations, { minLength: 8, maxLength: 20 })

let world: Market | undefined
afterEach(async () => await world?.close())

async function apply(market: Market, op: Op): Promise<void> {
  const { chain, nodes } = market
  if (op.op === 'look') await lookAs(market, op.place)
  else if (op.op === 'compute') for (const { world } of nodes) await world.compute()
  else if (op.op === 'mine') await market.mine()
  // Transactions wait, and are mined side by side.
  else if (op.op === 'hold') await chain.anvil.setAutomine(false)
  else {
    await release(market)
    await change(market, op)
  }
}

async function change(market: Market, op: Op): Promise<void> {
  if (op.op === 'ask') for (let i = 0; i < op.times; i++) await market.askIn(op)
  if (op.op === 'sign') await market.signFor(op)
  if (op.op === 'judge') await market.judgeOne(op.place, op.valid)
  if (op.op === 'week') await market.chain.warp(week)
  if (op.op === 'race') await race(market)
  if (op.op === 'owe') await owe(market, op)
  if (op.op === 'block') await market.block(op.whose, op.blocked)
  if (op.op === 'claim') await market.claim()
  if (op.op === 'pass') await market.passFeeOn()
  if (op.op === 'set')
    await transact(market.chain, market.verifiers.atomic, { functionName: 'setVerdict', args: [op.valid] })
  if (op.op === 'allow') await allow(market, op.coin, op.amount)
  if (op.op === 'reorg') {
    // Never what was there at the beginning.
    await market.mine(op.depth)
    await market.reorganise(op.depth, { kept: op.kept })
  }
}

/** Both have an answer to what waits, and send it in one block. */
async function race(market: Market): Promise<void> {
  const { nodes, chain } = market
  for (const { world, ticker } of nodes) await world.look(ticker)
  for (const { world } of nodes) await world.compute()
  await chain.anvil.setAutomine(false)
  for (const { world, ticker } of nodes) await world.look(ticker)
  await release(market)
}

/** A proof is judged while the token blocks who would get the money: chance brings that together once in a hundred histories. */
async function owe(market: Market, { place, valid }: { place: number; valid: boolean }): Promise<void> {
  for (const whose of [place, 'consumer'] as const) await market.block(whose, false)
  await market.askIn({ coin: 'silent', amount: parseEther('1'), judge: 'optimistic', redundancy: 1 })
  // Its stake may have to be approved first.
  for (let times = 0; times < 3; times++) {
    await lookAs(market, place)
    await market.nodes[place]?.world.compute()
    await market.mine()
  }
  await market.block(valid ? place : 'consumer', true)
  await market.judgeOne(place, valid)
}

async function lookAs({ nodes }: Market, place: number): Promise<void> {
  const node = nodes[place]
  await node?.world.look(node.ticker)
}

async function release({ chain }: Market): Promise<void> {
  await chain.anvil.setAutomine(true)
  await chain.anvil.mine({ blocks: 1 })
}

async function allow({ chain, payer, consumer, tokens }: Market, coin: Coin, amount: bigint): Promise<void> {
  const wallet = { address: payer, abi: walletAbi }
  await transact(chain, wallet, {
    functionName: 'approve',
    args: [consumer.address, tokens[coin], amount],
  })
}

/** Everything that was asked for is answered, or has no money; what was proven is judged, or its week is over. */
async function settle(market: Market): Promise<void> {
  const { nodes, chain } = market
  await release(market)
  for (let quiet = 0, round = 0; quiet < 3; round++) {
    if (round > 80)
      throw new Error(
        `It does not settle: ${JSON.stringify(await Promise.all(nodes.map(({ world }) => world.deliveries())))}`,
      )
    let computed = 0
    for (const { world, ticker } of nodes) {
      await world.look(ticker)
      computed += await world.compute()
    }
    await market.mine()
    const states = (await Promise.all(nodes.map(({ world }) => world.states()))).flat()
    const isMoving = computed > 0 || states.some(state => state === 'sending' || state === 'computing')
    const pending = isMoving ? 0 : await market.pending()
    // Long enough for what is looked at once in an hour at the end of its week.
    if (pending > 0) await chain.warp(round % 2 === 0 ? week : 7_200)
    quiet = isMoving || pending > 0 ? 0 : quiet + 1
  }
}

test('property: the books say what the chain says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), histories, async (firstDeployment, history) => {
      const market = await startMarket({ firstDeployment })
      world = market
      await market.mine(10)
      for (const op of history) await apply(market, op)
      await settle(market)
      const booked = await market.booked()
      expect(booked).toEqual(await market.onChain())
      for (const whose of [0, 1, 'consumer'] as const) await market.block(whose, false)
      await market.claim()
      expect(await market.onChain()).toEqual(booked)
      await market.close()
      world = undefined
    }),
    { numRuns, endOnFailure: true },
  )
}, 1_800_000)
