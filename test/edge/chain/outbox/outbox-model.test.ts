import { sql } from 'drizzle-orm'
import * as fc from 'fast-check'
import { parseTransaction } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Block, Signer } from '../../../../src/edge/chain/chain.ts'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import { rewind } from '../../../../src/edge/chain/tick/rewind.ts'
import { vanishDeliveries } from '../../../../src/edge/chain/vanish.ts'
import { createModelChain, keysOf, type ModelChain } from './model-chain.ts'
import { mortal } from './mortal.ts'
import { chainId, createOutbox, gasPolicy, look, type Outbox, otherSigner, signer } from './node.ts'
import { type Death, takeTurns } from './turns.ts'

/**
 * Two nodes without any lease, over one real database and a model chain, whatever dies, is refused, undone or taken by others, and whichever
 * keys they have. After every step: no two transactions for one answer, no two rows for one nonce of a signer, no nonce without what was signed
 * for it. In the end: every answer is accepted exactly once, or dropped with a reason; also where what is over is forgotten at once.
 */

/** For one nonce: what goes up and down with the market is not signed anew for every block. */
const mostSigned = 40

/** A long run: `MODEL_RUNS=3000 npm test -- outbox-model`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 60)

type Op =
  | { op: 'answer'; seconds: number | null }
  | { op: 'look'; order: number[]; deaths: [Death, Death] }
  | { op: 'mine'; withhold: boolean }
  | { op: 'rekey'; node: number }
  | { op: 'abandon' }
  | { op: 'reorg'; depth: number; lose: boolean; vanish: boolean }
  | {
      op:
        | 'intrude'
        | 'forget'
        | 'spike'
        | 'heat'
        | 'cap'
        | 'calm'
        | 'refuse'
        | 'refuseOne'
        | 'accept'
        | 'drain'
        | 'spend'
        | 'refill'
        | 'prune'
    }

const death: fc.Arbitrary<Death> = fc.option(
  fc.record({ step: fc.nat({ max: 20 }), when: fc.constantFrom('before', 'after') }),
  { freq: 2, nil: null },
)
const looking = fc.record({
  op: fc.constant('look' as const),
  order: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 20 }),
  deaths: fc.tuple(death, death),
})
const operations: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: looking },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('answer' as const),
      seconds: fc.option(fc.integer({ min: 12, max: 120 }), { nil: null }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('mine' as const), withhold: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rekey' as const), node: fc.nat({ max: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('abandon' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('reorg' as const),
      depth: fc.integer({ min: 1, max: 4 }),
      lose: fc.boolean(),
      vanish: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constantFrom(
        'intrude',
        'forget',
        'spike',
        'heat',
        'cap',
        'calm',
        'refuse',
        'refuseOne',
        'accept',
        'drain',
        'spend',
        'refill',
        'prune',
      ),
    }),
  },
)

let outbox: Outbox

beforeAll(async () => {
  outbox = await createOutbox()
})
afterAll(async () => await outbox.close())

type World = {
  chain: ModelChain
  /** Each node's. */
  signers: Signer[]
  /** What each node believed last. */
  known: (Block | null)[]
  subscriptions: number
  /** Subscriptions that are gone. */
  gone: Set<number>
  /** What was sent although its subscription was gone. */
  stray: string[]
  /** What a key that no node has any more has signed, and was given up: it may be mined all the same. */
  left: Set<string>
  /** What was ever signed for each transaction. */
  signed: Map<string, Set<string>>
}

async function newWorld(): Promise<World> {
  await outbox.clear()
  await outbox.db.orm.run(sql`
    insert into chains (id, coordinator, next_id, head_number, head_hash) values (${chainId}, '0x', 1, 0, '')
    on conflict (id) do update set head_number = 0, head_hash = ''`)
  return {
    chain: createModelChain(),
    signers: [signer, signer],
    known: [null, null],
    subscriptions: 0,
    gone: new Set(),
    stray: [],
    left: new Set(),
    signed: new Map(),
  }
}

function signerOf({ signers }: World, node: number): Signer {
  return signers[node] ?? signer
}

function rekey(world: World, node: number): void {
  world.signers[node] = signerOf(world, node) === signer ? otherSigner : signer
}

/** Both nodes get another key, and what the old one has sent is not mined in time. */
async function abandon(world: World): Promise<void> {
  rekey(world, 0)
  world.signers[1] = signerOf(world, 0)
  for (const seconds of [12, 600]) {
    world.chain.mine({ withhold: true, seconds })
    await apply(world, { op: 'look', order: [0], deaths: [null, null] })
  }
}

/** A tick of a node, with what its ticker does about reorganisations. */
async function tick(world: World, node: number, gate: Parameters<typeof mortal>[1]): Promise<void> {
  const { chain } = world
  const rpc: ModelChain['rpc'] = {
    ...chain.rpc,
    async sendToAll(calls) {
      for (const { params } of calls) {
        const { data = '0x' } = parseTransaction(params[0] as `0x${string}`)
        world.stray.push(...keysOf(data).filter(key => world.gone.has(Number(key.split('/')[0]))))
      }
      return await chain.rpc.sendToAll(calls)
    },
  }
  const head = chain.head()
  const step = outbox.step(head, {
    coordinator: chain.coordinator,
    ...mortal({ db: outbox.db, rpc, signer: signerOf(world, node) }, gate),
  })
  const known = world.known[node] ?? null
  // A node that was started anew knows what was written down.
  const isOther = known === null || chain.hashAt(known.number) !== known.hash
  if (isOther) await rewind(step, { known: known?.number ?? head.number })
  await look(step)
  world.known[node] = head
}

async function apply(world: World, op: Op): Promise<void> {
  const { chain } = world
  outbox.clock.ms += 12_000
  if (op.op === 'answer') {
    world.subscriptions += 1
    const deadline = op.seconds === null ? null : chain.head().time + op.seconds
    await outbox.answer({ subscription: world.subscriptions, deadline })
  } else if (op.op === 'look') {
    const processes = op.deaths.map((at, node) => ({
      death: at,
      run: (gate: Parameters<typeof mortal>[1]) => tick(world, node, gate),
    }))
    await takeTurns(processes, op.order)
    for (const [node, at] of op.deaths.entries()) if (at) world.known[node] = null
  } else if (op.op === 'mine') chain.mine(op)
  else if (op.op === 'reorg') {
    chain.reorg(op.depth, op)
    if (op.vanish && world.subscriptions > 0) await vanish(world)
  } else if (op.op === 'intrude') chain.intrude(signerOf(world, 0).address)
  else if (op.op === 'rekey') rekey(world, op.node)
  else if (op.op === 'abandon') await abandon(world)
  else if (op.op === 'forget') chain.forget()
  else if (op.op === 'prune') await prune(world)
  else Object.assign(chain.settings, weather[op.op])
}

const calm = { baseFee: 1_000_000_000n }
const refill = { balance: 10n ** 18n }
const weather = {
  calm,
  refill,
  spike: { baseFee: 2n * gasPolicy.maxFeePerGas },
  // An answer alone is let through for it, and no two, nor one that is to wait.
  heat: { baseFee: 60_000_000_000n },
  cap: { feeCap: 10n ** 16n },
  drain: { balance: 0n },
  spend: { balance: 10n ** 16n },
  refuse: { refusesSends: true },
  refuseOne: { refusesOne: true },
  accept: { refusesSends: false },
}

/** Everything that is over goes, though it has just been. */
async function prune({ chain }: World): Promise<void> {
  const { number: head } = chain.head()
  const final = (await outbox.deliveries()).filter(({ state }) => state === 'final')
  await pruneChain(outbox.db, { chain: chainId, head, reorgDepth: 8, retentionMs: 0, waitMs: 1e12 })
  for (const { subscription, interval } of final)
    expect(chain.accepted()).toContain(`${subscription}/${interval}`)
}

/** The newest subscription is not on the new branch. */
async function vanish(world: World): Promise<void> {
  const id = world.subscriptions
  world.gone.add(id)
  await outbox.db.orm.batch(vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(${id})` }))
}

/** What must never be. */
async function check(world: World): Promise<void> {
  const [deliveries, transactions, raws] = await Promise.all([
    outbox.deliveries(),
    outbox.transactions(),
    outbox.raws(),
  ])
  const live = transactions.filter(({ state }) => state !== 'displaced')
  expect(new Set(live.map(({ signer: whose, nonce }) => `${whose} ${nonce}`)).size).toBe(live.length)
  for (const { tx, raw } of raws) {
    const keys = keysOf(parseTransaction(raw).data ?? '0x')
    world.signed.set(tx, new Set([...(world.signed.get(tx) ?? []), ...keys]))
  }
  for (const { id, state, problem, data } of transactions)
    if (state === 'displaced' && problem?.startsWith('Its signer'))
      // Also what was to be replaced by nothing, which no endpoint took.
      for (const key of [...keysOf(data), ...(world.signed.get(id) ?? [])]) world.left.add(key)
  for (const { id } of transactions)
    expect(raws.filter(({ tx }) => tx === id).length).toBeLessThan(mostSigned)
  const open = live.filter(({ state }) => state === 'signed' || state === 'sent')
  for (const { id } of open) expect(raws.filter(({ tx }) => tx === id).length).toBeGreaterThan(0)
  for (const { state, tx, interval } of deliveries) {
    const carrier = transactions.find(({ id }) => id === tx)
    if (state === 'sending') expect(carrier?.state).toMatch(/^(signed|sent)$/)
    if (state === 'computed') expect(tx).toBeNull()
    if (state === 'delivered') expect([carrier?.state, interval > 0]).toEqual(['mined', true])
  }
  // What was signed last is what an open transaction is: nothing may be in two of them. But for what had failed under a key that the node has no
  // more, and was undone with its block: its answers are others' by then, and without the key it cannot be taken back.
  const carriers = new Set(deliveries.map(({ tx }) => tx))
  const owned = new Set([0, 1].map(node => signerOf(world, node).address.toLowerCase()))
  const held = open.filter(({ id, signer }) => carriers.has(id) || owned.has(signer.toLowerCase()))
  const keys = held.flatMap(({ id }) => {
    const last = raws.filter(({ tx }) => tx === id).at(-1)
    return last ? keysOf(parseTransaction(last.raw).data ?? '0x') : []
  })
  expect(new Set(keys).size).toBe(keys.length)
  expect(world.stray).toEqual([])
}

/** All is well again: what is left is done. */
async function settle(world: World): Promise<void> {
  Object.assign(world.chain.settings, calm, refill, { refusesSends: false, refusesOne: false })
  for (let block = 0; block < 80; block++) {
    await apply(world, { op: 'look', order: [0], deaths: [null, null] })
    await check(world)
    world.chain.mine({ seconds: 60 })
    const left = await outbox.deliveries()
    const open = (await outbox.transactions()).some(({ state }) => state === 'signed' || state === 'sent')
    if (!open && left.every(({ state }) => ['final', 'dropped'].includes(state))) break
  }
  const accepted = world.chain.accepted()
  expect(new Set(accepted).size).toBe(accepted.length)
  for (const { subscription, interval, state, reason } of await outbox.deliveries()) {
    if (state === 'final') expect(accepted).toContain(`${subscription}/${interval}`)
    else {
      expect([state, reason]).toEqual(['dropped', expect.stringMatching(/./)])
      const key = `${subscription}/${interval}`
      if (interval > 0 && !world.left.has(key)) expect(accepted).not.toContain(key)
    }
  }
}

/** What failed under a key that the node has no more comes back with a reorganisation: its answer is computed again by then. */
const undoneAfterAnotherKey: Op[] = [
  { op: 'answer', seconds: null },
  { op: 'look', order: [0], deaths: [null, null] },
  { op: 'abandon' },
  { op: 'mine', withhold: false },
  { op: 'abandon' },
  { op: 'reorg', depth: 3, lose: false, vanish: false },
  { op: 'intrude' },
]

/** What another transaction has displaced is mined after all. */
const undoneDisplacement: Op[] = [
  { op: 'answer', seconds: null },
  { op: 'look', order: [0], deaths: [null, null] },
  { op: 'intrude' },
  { op: 'look', order: [0], deaths: [null, null] },
  { op: 'mine', withhold: true },
  { op: 'look', order: [0], deaths: [null, null] },
  { op: 'reorg', depth: 3, lose: false, vanish: false },
  { op: 'mine', withhold: false },
]

test('behavior: two nodes deliver each answer once, or say why not', async () => {
  const property = fc.asyncProperty(fc.array(operations, { minLength: 5, maxLength: 40 }), async script => {
    const world = await newWorld()
    for (const op of script) {
      await apply(world, op)
      await check(world)
    }
    await settle(world)
  })
  await fc.assert(property, {
    numRuns,
    endOnFailure: false,
    examples: [[undoneAfterAnotherKey], [undoneDisplacement]],
  })
}, 600_000)
