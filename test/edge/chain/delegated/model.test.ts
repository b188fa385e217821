import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { parseEventLogs } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import type { DelegatedRequest } from '../../../../src/protocol/delegated.ts'
import { delegationKey } from '../../../../src/protocol/delegation.ts'
import { nodeAddress } from '../../../support/chain.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/**
 * Whatever happens in whatever order, on a real chain: no interval is computed twice, or delivered twice by the node, each answer is to the
 * subscription that was signed for, and each request ends answered or with a reason.
 */

type Command =
  | {
      op: 'take'
      nonce: number
      period: number
      redundancy: number
      starts: number
      expires: number
      data: number
    }
  | { op: 'look'; ticker: number }
  | { op: 'compute'; fails: boolean }
  | { op: 'reorganise'; depth: number; kept: boolean }
  | { op: 'create'; nonce: number }
  | { op: 'answer'; nonce: number }
  | { op: 'ask' }
  /** Something else is created with the nonce, or nothing can be any more. */
  | { op: 'foil'; nonce: number }
  | { op: 'invalidate'; nonce: number }
  | { op: 'pass'; seconds: number }

const nonce = fc.integer({ min: 1, max: 4 })
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('take' as const),
      nonce,
      period: fc.constantFrom(0, 0, 100),
      redundancy: fc.constantFrom(1, 2),
      starts: fc.constantFrom(0, 0, 50),
      expires: fc.constantFrom(60, 500, 100_000),
      data: fc.constantFrom(1, 2),
    }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('look' as const), ticker: fc.nat({ max: 1 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('compute' as const),
      fails: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('reorganise' as const),
      depth: fc.integer({ min: 1, max: 6 }),
      kept: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('create' as const), nonce }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('answer' as const), nonce }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('foil' as const), nonce }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('invalidate' as const), nonce }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('ask' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('pass' as const), seconds: fc.constantFrom(1, 60, 110) }),
  },
)

let world: Delegating

const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)
const tables = [
  'delegations',
  'subscriptions',
  'deliveries',
  'transactions',
  'raws',
  'jobs',
  'parts',
  'chain_blocks',
  'chains',
]

/** A long run: `MODEL_RUNS=150 npm test -- delegated/model`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 7)
/** Anvil forgets the state of what lies far behind: of many more, a reorganisation loses contracts. */
const runsPerChain = 7

/** An empty database; the chain goes on, without what an earlier story has on its way: nobody knows of it any more. */
async function clear(): Promise<void> {
  const { orm } = world.queue.db
  await world.request('anvil_dropAllTransactions')
  await orm.batch(tables.map(table => orm.run(sql.raw(`delete from ${table}`))) as never)
  world.lines.length = 0
}

let runs = 0

async function play(commands: readonly Command[]): Promise<void> {
  const { chain } = world.chain.deployer
  const coordinator = { address: world.chain.coordinator, abi: eip712CoordinatorAbi } as const
  const nextId = await chain.readContract({ ...coordinator, functionName: 'id' })
  const changed = { startingSubId: nextId - 1 }
  const tickers: [ChainTick, ChainTick] = [world.ticker(changed), world.ticker(changed)]
  const requests = new Map<number, DelegatedRequest>()
  const base = await chain.getBlockNumber({ cacheTime: 0 })
  runs += 1
  const played = { tickers, requests, base, firstNonce: 10 * runs }
  for (const each of commands) await act(each, played)
  await settle(tickers)
  await expectSound(requests, base)
}

type Played = {
  tickers: [ChainTick, ChainTick]
  requests: Map<number, DelegatedRequest>
  base: bigint
  firstNonce: number
}

async function act(each: Command, { tickers, requests, base, firstNonce }: Played): Promise<void> {
  if (each.op === 'take') {
    const { period, redundancy, starts, expires, data } = each
    const nonce = firstNonce + each.nonce
    const time = await now()
    const known = requests.get(nonce)
    const recurring = period === 0 ? {} : { period, frequency: 3 }
    const terms = { active_at: time + starts, redundancy, ...recurring }
    const request = known ?? (await world.sign({ nonce, expiry: time + expires, ...terms }))
    requests.set(nonce, request)
    await world.send(request, { data: `{"n":${nonce},"data":${data}}` })
  } else if (each.op === 'look') await world.look(tickers[each.ticker as 0 | 1])
  else if (each.op === 'compute') await compute(each.fails)
  else if (each.op === 'reorganise') {
    const head = await world.chain.deployer.chain.getBlockNumber({ cacheTime: 0 })
    const depth = Math.min(each.depth, Number(head - base))
    if (depth > 0) await world.reorganise(depth, { kept: each.kept })
    await world.mine()
  } else if (each.op === 'create' || each.op === 'answer') {
    const request = requests.get(firstNonce + each.nonce)
    // Too late, too early, or there already.
    if (request) await world[each.op](request).catch(() => {})
  } else if (each.op === 'foil') {
    const other = await world.sign({ nonce: firstNonce + each.nonce, redundancy: 3, active_at: 1 })
    await world.create(other).catch(() => {})
  } else if (each.op === 'invalidate') await world.call('invalidate', firstNonce + each.nonce).catch(() => {})
  else if (each.op === 'ask') await world.ask()
  else await world.chain.warp(each.seconds)
}

async function compute(fails: boolean): Promise<void> {
  if (!fails) return void (await world.compute())
  await world.queue.db.orm.run(sql`
    update jobs set state = 'failed', error_code = 'container_error', error_message = 'no', finished_at = 1 where state = 'queued'`)
}

/** Time goes on until all that was asked for is over. */
async function settle(tickers: readonly ChainTick[]): Promise<void> {
  for (let block = 0; block < 14 || (block < 60 && (await isLeft())); block += 1) {
    for (const ticker of tickers) await world.look(ticker)
    await world.compute()
    await world.queue.db.orm.run(sql`update deliveries set not_before = 0`)
    await world.chain.warp(block < 6 ? 3 : 60)
    // As long as a nonce that another has taken is not believed to be.
    world.queue.clock.ms += 11_000
  }
  for (const ticker of tickers) await world.look(ticker)
}

async function isLeft(): Promise<boolean> {
  const rows = await world.queue.db.orm.all(sql`
    select 1 from subscriptions where state = 'active'
    union all select 1 from deliveries where state in ('computing', 'computed', 'sending') limit 1`)
  return rows.length > 0
}

async function expectSound(requests: ReadonlyMap<number, DelegatedRequest>, base: bigint): Promise<void> {
  const { orm } = world.queue.db
  const rows = await orm.all<{
    subscription: number
    interval: number
    state: string
    reason: string | null
    nonce: number
  }>(sql`
    select d.subscription, interval, d.state, d.reason, nonce from deliveries as d join delegations using (chain, subscription)
`)
  const subscriptions = await orm.all<{
    id: number
    state: string
    reason: string | null
    nonce: number
  }>(sql`
    select subscriptions.id, state, reason, nonce from delegations left join subscriptions
      on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription`)
  const told = JSON.stringify({ rows, subscriptions })
  const lines = world.lines.filter(({ event }) => event === 'Tick failed')
  expect(lines, told).toEqual([])
  // Each is over, and says so.
  for (const { state, reason } of subscriptions)
    expect([state, reason !== null], told).toEqual(['ended', true])
  for (const { state, reason } of rows)
    expect(state === 'delivered' || (state === 'dropped' && reason !== null), told).toBe(true)
  // Its data was computed from once in an interval, unless its nonce stood for another one, in blocks that were undone.
  const computed = await orm.all<{ n: number; most: number }>(sql`
    select count(*) as n, frequency as most from jobs join delegations on delegations.fingerprint = jobs.fingerprint
      join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription
    where jobs.source = 1 and not exists (select 1 from deliveries where job = jobs.id and deliveries.reason = 'nonce_used') group by place`)
  for (const { n, most } of computed) expect(n, told).toBeLessThanOrEqual(most)
  // Each link is the chain's.
  const created = new Map<number, number>()
  for (const { nonce, id, reason } of subscriptions) {
    const request = requests.get(nonce)!
    const onChain = await world.chain.deployer.chain.readContract({
      address: world.chain.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'delegateCreatedIds',
      args: [delegationKey(request.subscription.owner, nonce)],
    })
    // With the nonce something else may have been created.
    if (id > 0) expect(onChain, told).toBe(id)
    else if (onChain > 0) expect(reason, told).toBe('nonce_used')
    if (id > 0) created.set(id, nonce)
  }
  // The node has answered no interval twice, and what it says is delivered is.
  const accepted = await answers(base)
  expect(new Set(accepted).size, told).toBe(accepted.length)
  const delivered = rows.filter(({ state }) => state === 'delivered')
  for (const { subscription, interval } of delivered)
    expect(accepted, told).toContain(`${subscription}/${interval}`)
  const asSigned = accepted.filter(key => created.has(Number(key.split('/')[0])))
  expect(asSigned.toSorted(), told).toEqual(
    delivered.map(({ subscription, interval }) => `${subscription}/${interval}`).toSorted(),
  )
}

/** What the chain has taken from the node, by subscription and interval. */
async function answers(base: bigint): Promise<string[]> {
  const { chain } = world.chain.deployer
  const logs = await chain.getLogs({ address: world.chain.coordinator, fromBlock: base })
  const events = parseEventLogs({
    abi: eip712CoordinatorAbi,
    eventName: ['SubscriptionFulfilled', 'AnswerAccepted'],
    logs,
  })
  const mine = events.filter(
    ({ eventName, args }) =>
      eventName === 'SubscriptionFulfilled' && 'node' in args && args.node.toLowerCase() === nodeAddress,
  )
  const places = new Set(mine.map(({ transactionHash, logIndex }) => `${transactionHash} ${logIndex + 1}`))
  return events.flatMap(({ eventName, args, transactionHash, logIndex }) =>
    eventName === 'AnswerAccepted' && 'interval' in args && places.has(`${transactionHash} ${logIndex}`)
      ? [`${args.id}/${args.interval}`]
      : [],
  )
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  const start = async () => {
    world = await startDelegating({ firstDeployment })
    await world.mine(8)
  }
  beforeAll(start)
  afterAll(async () => await world?.close())

  test(
    'behavior: each is answered once in an interval, or says why not',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { minLength: 6, maxLength: 24 }), async commands => {
          if (runs > 0 && runs % runsPerChain === 0) {
            await world.close()
            await start()
          }
          await clear()
          await play(commands)
        }),
        // Whatever is left out of a story changes the chain under those that follow: what is found is told as it was found.
        { numRuns, endOnFailure: true },
      )
    },
    300_000 + numRuns * 20_000,
  )
})
