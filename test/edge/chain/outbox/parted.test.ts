import { sql } from 'drizzle-orm'
import { encodeErrorResult, parseTransaction } from 'viem'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Rpc, RpcAnswer, RpcCall } from '../../../../src/edge/chain/rpc.ts'
import { rewind } from '../../../../src/edge/chain/tick/rewind.ts'
import { vanishDeliveries } from '../../../../src/edge/chain/vanish.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { coordinator, createModelChain, keysOf, type ModelChain, subscriptionThere } from './model-chain.ts'
import { chainId, createOutbox, look, type Outbox } from './node.ts'

/** Answers that a transaction has brought which had them no more: they are paid for, and their proofs followed, like all others. */

const token = '0x0000000000000000000000000000000000000000'
const verifier = '0x00000000000000000000000000000000000000ff'

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

function step() {
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
  const features = { status: true, batch: true, bounded: false }
  return outbox.step(model.head(), { rpc, coordinator, features })
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
  expect(await outbox.deliveries()).toMatchObject([{ state: 'dropped', tx: null }, { state: 'sending' }])
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

test('behavior: replaced by one without it, which is mined: nothing of it is', async () => {
  await answer(1, 2)
  model.mine()
  await look(step())
  await outbox.db.orm.batch([...vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(1)` })])
  model.mine({ withhold: true })
  await look(step())
  model.mine()
  expect(model.accepted()).toEqual(['2/1'])
  await look(step())
  expect(await outbox.deliveries()).toMatchObject([{ state: 'dropped', tx: null }, { state: 'delivered' }])
  expect(await proofs()).toMatchObject([{ subscription: 2 }])
})
