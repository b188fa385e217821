import { sql } from 'drizzle-orm'
import { type Address, encodeErrorResult, parseTransaction } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { Rpc, RpcAnswer, RpcCall } from '../../../../src/edge/chain/rpc.ts'
import { readCommitted, readStakes } from '../../../../src/edge/chain/stakes/staked.ts'
import { rewind } from '../../../../src/edge/chain/tick/rewind.ts'
import { vanishDeliveries } from '../../../../src/edge/chain/vanish.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { coordinator, createModelChain, keysOf, type ModelChain, subscriptionThere } from './model-chain.ts'
import { chainId, createOutbox, firstFeatures, look, type Outbox, signer } from './node.ts'

/** Answers that a transaction has brought which had them no more: they are paid for, and their proofs followed, like all others. */

const token: Address = '0x0000000000000000000000000000000000000000'
const verifier: Address = '0x00000000000000000000000000000000000000ff'

let outbox: Outbox
let model: ModelChain
/** The chain takes no answer. */
let isClosed: boolean
/** Whatever is simulated succeeds, as where endpoints are behind. */
let isSimulated: boolean
/** Endpoints take nothing in place of what they have. */
let isFull: boolean

beforeEach(async () => {
  outbox = await createOutbox()
  model = createModelChain()
  isClosed = false
  isSimulated = false
  isFull = false
  await outbox.db.orm.run(sql`
    insert into chains (id, coordinator, next_id, head_number, head_hash) values (${chainId}, '0x', 1, 0, '')`)
})
afterEach(async () => await outbox?.close())

const refusal = encodeErrorResult({ abi: walletAbi, errorName: 'InsufficientFunds' })

function closedTo({ method }: RpcCall, answer: RpcAnswer | undefined): RpcAnswer {
  const { result } = answer as { result: unknown }
  if (method === 'eth_getTransactionReceipt' && result)
    return { result: { ...(result as object), status: '0x0', logs: [] } }
  if (method !== 'eth_estimateGas') return { result }
  return { error: { code: 3, message: 'execution reverted', data: refusal } }
}

const underpriced: RpcAnswer = { error: { code: -32_000, message: 'replacement transaction underpriced' } }

function step(features = { status: true, batch: true, bounded: false }) {
  const rpc: Rpc = {
    ...model.rpc,
    async send(calls, ...rest) {
      const answers = await model.rpc.send(calls, ...rest)
      if (isClosed) return calls.map((call, index) => closedTo(call, answers[index]))
      return calls.map(({ method }, index) =>
        isSimulated && method === 'eth_estimateGas' ? { result: '0x186a0' } : answers[index]!,
      )
    },
  }
  if (isFull) rpc.sendToAll = async calls => [calls.map(() => underpriced)]
  const config = { guard: { ...openGuard, verifiers: new Map([[verifier, new Map([[token, 10_000n]])]]) } }
  return outbox.step(model.head(), { rpc, coordinator, features, config })
}

/** Paid answers, with a stake each. */
async function answer(...subscriptions: number[]): Promise<void> {
  const { orm } = outbox.db
  for (const subscription of subscriptions) await outbox.answer({ subscription })
  await orm.run(sql`
    update subscriptions set payment_amount = '1000', verifier = ${verifier}, payment_token = ${token}`)
  await orm.run(
    sql`update deliveries set stake_token = ${token}, stake = '1000', stake_verifier = ${verifier}`,
  )
}

const proofs = () =>
  outbox.db.orm.all(sql`select subscription, interval, state, stake from proofs order by 1`)
const books = () =>
  outbox.db.orm.all(sql`select kind, subscription, consumer from ledger order by subscription`)
const paid = () => outbox.db.orm.all(sql`select owner, paid, reverted from consumers where owner <> '*'`)

/** Of answers: what may be lost yet, as whoever begins, and whoever sends something, reckons it. */
async function atStake(): Promise<bigint[]> {
  const { promised, locked } = await readStakes(outbox.db, chainId)
  const { stakes } = await readCommitted(outbox.db, chainId)
  return [[...promised, ...locked], stakes].map(all => all.reduce((sum, { amount }) => sum + amount, 0n))
}

/** Has a subscription wait until a stake comes back. @returns whether it is looked at at this block. */
async function waitForStake(subscription: number): Promise<() => Promise<boolean>> {
  const { orm } = outbox.db
  const { time } = model.head()
  await orm.run(sql`
    update subscriptions set state = 'active', due_at = ${time + 500}, reason = 'stake_limit' where id = ${subscription}`)
  return async () =>
    (
      await orm.all(
        sql`select 1 from subscriptions where id = ${subscription} and due_at = ${model.head().time}`,
      )
    ).length === 1
}

test('default: mined and failed, undone, and then mined and taken: it is delivered', async () => {
  await answer(1)
  model.mine()
  await look(step())
  model.mine()
  isClosed = true
  await look(step())
  expect(await outbox.deliveries()).toMatchObject([{ state: 'computed', tx: null, reason: 'reverted' }])
  expect(await paid()).toEqual([{ owner: '0xaa', paid: 0, reverted: 1 }])
  const known = model.head().number
  model.reorg(1, { lose: false })
  isClosed = false
  await rewind(step(), { known })
  expect([await paid(), await books()]).toEqual([[{ owner: '0xaa', paid: 0, reverted: 0 }], []])
  model.mine()
  expect(model.accepted()).toEqual(['1/1'])
  for (let times = 0; times < 3; times++) {
    await look(step())
    expect(await outbox.deliveries()).toMatchObject([
      { state: 'delivered', tx: expect.any(String), reason: null },
    ])
    expect(await outbox.transactions()).toMatchObject([{ state: 'mined' }])
    expect(await proofs()).toEqual([{ subscription: 1, interval: 1, state: 'pending', stake: '1000' }])
    expect(await books()).toEqual([{ kind: 'answer', subscription: 1, consumer: '0xaa' }])
    expect(await paid()).toEqual([{ owner: '0xaa', paid: 1, reverted: 0 }])
    outbox.clock.ms += 60_000
    model.mine()
  }
})

test('behavior: mined and failed once more: it is booked to whoever asked for it, once, and tried again as before', async () => {
  await answer(1)
  model.mine()
  await look(step())
  model.mine()
  isClosed = true
  await look(step())
  const [before] = await outbox.deliveries()
  expect(before).toMatchObject({ state: 'computed', tx: null, tries: 1 })
  for (let times = 0; times < 2; times++) {
    const known = model.head().number
    model.reorg(1, { lose: false })
    await rewind(step(), { known })
    expect([await paid(), await books()]).toEqual([[{ owner: '0xaa', paid: 0, reverted: 0 }], []])
    model.mine()
    for (let looks = 0; looks < 2; looks++) {
      await look(step())
      expect(await outbox.deliveries()).toEqual([before])
      expect(await outbox.transactions()).toMatchObject([{ state: 'mined' }])
      expect(await books()).toEqual([{ kind: 'failed', subscription: 1, consumer: '0xaa' }])
      expect(await paid()).toEqual([{ owner: '0xaa', paid: 0, reverted: 1 }])
    }
  }
  expect(outbox.lines.map(({ event }) => event)).not.toContain(
    'Subscription has exceeded the maximum number of attempts',
  )
})

test('behavior: a batch that fails once more: each bears its part, and what is gone by then was nobody’s wish', async () => {
  await answer(1, 2)
  model.mine()
  await look(step())
  model.mine()
  isClosed = true
  await look(step())
  expect(await paid()).toEqual([{ owner: '0xaa', paid: 0, reverted: 2 }])
  const parts = async () => await outbox.db.orm.all(sql`select subscription, gas_used from ledger order by 1`)
  const before = await parts()
  const known = model.head().number
  model.reorg(1, { lose: false })
  await rewind(step(), { known })
  await outbox.db.orm.batch([...vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(1)` })])
  model.mine()
  await look(step())
  expect(await outbox.deliveries()).toMatchObject([
    { interval: -1, state: 'dropped', tries: 0 },
    { interval: 1, state: 'computed', tries: 1 },
  ])
  expect(await parts()).toEqual(before)
  expect(await books()).toMatchObject([{ kind: 'failed' }, { kind: 'failed' }])
  expect(await paid()).toEqual([{ owner: '0xaa', paid: 0, reverted: 1 }])
})

test('behavior: what failed is its transaction’s again when that is undone: no other sends it, nor does that if it is gone by then', async () => {
  await answer(1, 2)
  model.mine()
  await look(step())
  model.mine()
  isClosed = true
  await look(step())
  const known = model.head().number
  model.reorg(1, { lose: false })
  await rewind(step(), { known })
  isClosed = false
  outbox.clock.ms += 60_000
  model.mine({ withhold: true })
  await look(step())
  const [first, ...others] = await outbox.transactions()
  expect(others).toEqual([])
  expect(await outbox.deliveries()).toMatchObject([
    { state: 'sending', tx: first?.id, tries: 0, reason: null },
    { state: 'sending', tx: first?.id, tries: 0, reason: null },
  ])
  await outbox.db.orm.batch([...vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(1)` })])
  model.mine({ withhold: true })
  await look(step())
  model.mine()
  expect(model.accepted()).toEqual(['2/1'])
})

test('behavior: another transaction has it by then, whose nonce is used up for nothing', async () => {
  await answer(1)
  model.mine()
  await look(step())
  model.mine()
  isClosed = true
  await look(step())
  isClosed = false
  isSimulated = true
  outbox.clock.ms += 60_000
  model.mine()
  await look(step())
  const [first, second] = await outbox.transactions()
  expect(await outbox.deliveries()).toMatchObject([{ state: 'sending', tx: second?.id }])
  const known = model.head().number
  model.reorg(2, { lose: false })
  await rewind(step(), { known })
  model.mine()
  for (let times = 0; times < 2; times++) {
    await look(step())
    expect(await outbox.deliveries()).toMatchObject([{ state: 'delivered', tx: first?.id }])
    expect(await outbox.transactions()).toMatchObject([{ state: 'mined' }, { state: 'mined' }])
    expect(await proofs()).toMatchObject([{ state: 'pending', stake: '1000' }])
    expect(await books()).toMatchObject([{ kind: 'expense' }, { kind: 'answer', subscription: 1 }])
    expect(await paid()).toEqual([{ owner: '0xaa', paid: 1, reverted: 0 }])
    model.mine()
  }
})

test('behavior: another transaction has it by then, and both fail: each is booked to whoever asked', async () => {
  await answer(1)
  model.mine()
  await look(step())
  model.mine()
  isClosed = true
  await look(step())
  isClosed = false
  isSimulated = true
  outbox.clock.ms += 60_000
  model.mine()
  await look(step())
  const known = model.head().number
  model.reorg(2, { lose: false })
  await rewind(step(), { known })
  model.mine()
  isClosed = true
  for (let times = 0; times < 2; times++) {
    await look(step())
    expect(await outbox.deliveries()).toMatchObject([{ state: 'computed', tx: null, tries: 2 }])
    expect(await outbox.transactions()).toMatchObject([{ state: 'mined' }, { state: 'mined' }])
    const failed = { kind: 'failed', subscription: 1, consumer: '0xaa' }
    expect(await books()).toEqual([failed, failed])
    expect(await paid()).toEqual([{ owner: '0xaa', paid: 0, reverted: 2 }])
  }
})

test('behavior: replaced by one without it, as its subscription was gone, and mined all the same', async () => {
  await answer(1, 2)
  model.mine()
  await look(step())
  await outbox.db.orm.batch([...vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(1)` })])
  model.mine({ withhold: true })
  isFull = true
  await look(step())
  expect((await outbox.raws()).map(({ raw }) => keysOf(parseTransaction(raw).data ?? '0x'))).toEqual([
    ['1/1', '2/1'],
    ['2/1'],
  ])
  expect(await outbox.deliveries()).toMatchObject([{ state: 'dropped' }, { state: 'sending' }])
  expect(await atStake()).toEqual([2_000n, 2_000n])
  model.mine()
  expect(model.accepted()).toEqual(['1/1', '2/1'])
  for (let times = 0; times < 2; times++) {
    await look(step())
    expect(await outbox.deliveries()).toMatchObject([
      { interval: -1, state: 'dropped', tx: expect.any(String) },
      { interval: 1, state: 'delivered' },
    ])
    expect(await proofs()).toMatchObject([
      { subscription: 1, interval: 1, state: 'pending', stake: '700' },
      { subscription: 2, interval: 1, state: 'pending', stake: '1000' },
    ])
    expect(await books()).toEqual([
      { kind: 'answer', subscription: 1, consumer: subscriptionThere.owner },
      { kind: 'answer', subscription: 2, consumer: '0xaa' },
    ])
    model.mine()
  }
})

test('behavior: replaced by one without it, which is mined: nothing of it is, and its stake is free, unless that is undone', async () => {
  await answer(1, 2)
  model.mine()
  await look(step())
  await outbox.db.orm.batch([...vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(1)` })])
  for (let looks = 0; looks < 2; looks++) {
    model.mine({ withhold: true })
    await look(step())
    expect(await outbox.raws()).toHaveLength(2)
  }
  const isLookedAt = await waitForStake(1)
  for (let times = 0; times < 2; times++) {
    model.mine()
    expect(model.accepted()).toEqual(['2/1'])
    await look(step())
    expect(await isLookedAt()).toBe(times === 0)
    expect(await outbox.deliveries()).toMatchObject([{ state: 'dropped' }, { state: 'delivered' }])
    expect(await proofs()).toMatchObject([{ subscription: 2 }])
    expect(await books()).toEqual([{ kind: 'answer', subscription: 2, consumer: '0xaa' }])
    expect(await paid()).toEqual([{ owner: '0xaa', paid: 1, reverted: 0 }])
    expect(await atStake()).toEqual([1_000n, 1_000n])
    const known = model.head().number
    model.reorg(1, { lose: false })
    await rewind(step(), { known })
    expect(await atStake()).toEqual([2_000n, 2_000n])
  }
})

test('behavior: replaced by nothing, which is mined: who waits for its stake is looked at', async () => {
  await answer(1)
  await outbox.db.orm.run(sql`update deliveries set deadline = ${model.head().time + 20}`)
  await look(step())
  for (let blocks = 0; blocks < 2; blocks++) model.mine({ withhold: true })
  await look(step())
  expect(await outbox.transactions()).toMatchObject([{ kind: 'cancel' }])
  expect(await atStake()).toEqual([1_000n, 1_000n])
  const isLookedAt = await waitForStake(1)
  model.mine()
  await look(step())
  expect(await outbox.transactions()).toMatchObject([{ kind: 'cancel', state: 'mined' }])
  expect(await atStake()).toEqual([0n, 0n])
  expect(await isLookedAt()).toBe(true)
  expect(await books()).toMatchObject([{ kind: 'expense' }])
})

test('behavior: replaced by nothing, and mined all the same; undone, and then it is nothing that is mined: it is sent anew', async () => {
  await answer(1)
  await outbox.db.orm.run(sql`update deliveries set deadline = ${model.head().time + 20}`)
  model.mine()
  await look(step())
  model.mine({ withhold: true })
  isFull = true
  await look(step())
  expect(await outbox.transactions()).toMatchObject([{ kind: 'cancel' }])
  model.mine()
  await look(step())
  expect(await outbox.deliveries()).toMatchObject([{ state: 'delivered' }])
  const known = model.head().number
  model.reorg(1, { lose: true })
  await rewind(step(), { known })
  isFull = false
  await look(step())
  model.mine()
  await outbox.db.orm.run(sql`update deliveries set deadline = null`)
  await look(step())
  expect(await books()).toMatchObject([{ kind: 'expense' }])
  expect(await outbox.deliveries()).toMatchObject([{ state: 'sending', tries: 0 }])
  expect(await outbox.transactions()).toMatchObject([{ state: 'mined' }, { kind: 'deliver', state: 'sent' }])
})

describe.each([
  ['first deployment', firstFeatures],
  ['newer deployment', { status: true, batch: true, bounded: false }],
])('given up, as another had its nonce, and mined after all; %s', (_, features) => {
  const tick = async (times = 1) => {
    for (let time = 0; time < times; time++) {
      outbox.clock.ms += 60_000
      await look(step(features))
    }
  }
  /** Another has the nonce of an answer, that is sent anew; then that is undone. @returns what was signed first. */
  async function undisplaced() {
    await answer(1)
    model.mine()
    await tick()
    const [{ raw, tx } = { raw: '0x' as const, tx: '' }] = await outbox.raws()
    model.intrude(signer.address)
    await tick()
    model.mine({ withhold: true })
    isSimulated = true
    await tick()
    expect(await outbox.transactions()).toMatchObject([
      { nonce: 0, state: 'displaced' },
      { nonce: 1, state: 'sent' },
    ])
    const known = model.head().number
    model.reorg(2, { lose: true })
    model.forget()
    await rewind(step(features), { known })
    return { raw, tx }
  }
  const give = async (raw: `0x${string}`) =>
    void (await model.rpc.sendToAll([{ method: 'eth_sendRawTransaction', params: [raw] }]))
  const expectOnce = async (tx: string) => {
    expect(model.accepted()).toEqual(['1/1'])
    expect(await outbox.deliveries()).toMatchObject([{ state: 'delivered', tx }])
    expect(await proofs()).toEqual([{ subscription: 1, interval: 1, state: 'pending', stake: '1000' }])
    expect(await paid()).toEqual([{ owner: '0xaa', paid: 1, reverted: 0 }])
    expect(await books()).toContainEqual({ kind: 'answer', subscription: 1, consumer: '0xaa' })
  }

  test('behavior: it has its answer, and what that was sent with is for nothing', async () => {
    const { raw, tx } = await undisplaced()
    await give(raw)
    model.mine()
    for (let block = 0; block < 3; block++) {
      await tick()
      await expectOnce(tx)
      model.mine()
    }
    expect(await outbox.transactions()).toMatchObject([{ state: 'mined' }, { state: 'mined' }])
    expect(await books()).toHaveLength(2)
  })

  test('behavior: its nonce was filled meanwhile: that is given up, until this is undone as well', async () => {
    const { raw, tx } = await undisplaced()
    await tick()
    expect(await outbox.transactions()).toMatchObject([
      { nonce: 0, state: 'displaced', kind: 'deliver' },
      { nonce: 0, state: 'sent', kind: 'cancel' },
      { nonce: 1, state: 'sent', kind: 'deliver' },
    ])
    const fills = (await outbox.raws()).map(each => each.raw)
    model.forget()
    await give(raw)
    model.mine()
    await tick()
    await expectOnce(tx)
    expect(await outbox.transactions()).toMatchObject([
      { nonce: 0, state: 'mined', kind: 'deliver' },
      { nonce: 0, state: 'displaced', kind: 'cancel' },
      { nonce: 1, state: 'sent' },
    ])
    const known = model.head().number
    model.reorg(1, { lose: true })
    await rewind(step(features), { known })
    model.forget()
    for (const fill of fills) await give(fill)
    isSimulated = false
    for (let block = 0; block < 6; block++) {
      model.mine()
      await tick()
    }
    expect(model.accepted()).toEqual(['1/1'])
    expect(await outbox.deliveries()).toMatchObject([{ state: 'delivered' }])
    expect(await books()).toContainEqual({ kind: 'answer', subscription: 1, consumer: '0xaa' })
    expect(await paid()).toEqual([{ owner: '0xaa', paid: 1, reverted: 0 }])
    expect(await proofs()).toHaveLength(1)
  })

  test('behavior: what was signed is forgotten when no reorganisation reaches what has the nonce', async () => {
    await undisplaced()
    for (let block = 0; block < 20; block++) {
      model.mine()
      await tick()
    }
    expect(await outbox.raws()).toEqual([])
    expect(new Set((await outbox.transactions()).map(({ state }) => state))).toEqual(
      new Set(['displaced', 'final']),
    )
  })
})
