import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { type Address, padHex, zeroHash } from 'viem'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Receipt } from '../../../../src/edge/chain/outbox/receipt.ts'
import { undoMined } from '../../../../src/edge/chain/outbox/undo.ts'
import { beginProofs } from '../../../../src/edge/chain/proofs/begin.ts'
import { rewindProofs } from '../../../../src/edge/chain/proofs/rewind.ts'
import { settleProofs } from '../../../../src/edge/chain/proofs/settle.ts'
import { readCommitted, readStakes, type Stake } from '../../../../src/edge/chain/stakes/staked.ts'
import { coordinator, createModelChain } from '../outbox/model-chain.ts'
import { chainId, createOutbox, type Outbox, signer } from '../outbox/node.ts'

/** What is locked is added up by triggers: after whatever becomes of proofs it is what those that are pending would add up to. */

/** A long run: `MODEL_RUNS=2000 npm test -- proofs/sums`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 15)

const model = createModelChain()
for (let block = 0; block < 9; block++) model.mine()

let outbox: Outbox
beforeEach(async () => {
  outbox = await createOutbox()
})
afterEach(async () => await outbox?.close())

const addresses: readonly Address[] = [padHex('0xa', { size: 20 }), padHex('0xb', { size: 20 })]
const most = 2n ** 256n - 1n

type Op =
  | {
      op: 'begin'
      id: number
      tx: number
      token: Address
      verifier: Address | null
      nodeWallet: Address | null
      amount: bigint
    }
  | { op: 'settle'; ids: readonly number[]; block: number }
  | { op: 'forget'; id: number }
  | { op: 'rewind'; from: number }
  | { op: 'undo'; tx: number }
  | { op: 'move'; id: number; amount: bigint; wallet: Address | null }

const address = fc.constantFrom(...addresses)
const maybe = fc.option(address)
const amount = fc.oneof(
  fc.bigInt({ min: 1n, max: most }),
  fc.bigInt({ min: 10n ** 12n - 2n, max: 10n ** 12n + 2n }),
  fc.constant(most),
)
const id = fc.integer({ min: 1, max: 6 })
const tx = fc.integer({ min: 1, max: 3 })
const block = fc.integer({ min: 1, max: 9 })

const ops: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('begin' as const),
      id,
      tx,
      token: address,
      verifier: maybe,
      nodeWallet: maybe,
      amount,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('settle' as const),
      ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 }),
      block,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('forget' as const), id }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('rewind' as const), from: block }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('undo' as const), tx }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('move' as const), id, amount, wallet: maybe }) },
)

const stepAt = (number: number) => outbox.step({ ...model.head(), number }, { rpc: model.rpc, coordinator })

async function begin({
  id: subscription,
  tx: nonce,
  token,
  verifier,
  nodeWallet,
  amount: staked,
}: Extract<Op, { op: 'begin' }>): Promise<void> {
  const name = `tx-${nonce}`
  await outbox.db.orm.run(sql`
    insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, created_at, data)
    values (${name}, ${chainId}, '0x', ${nonce}, 'mined', 'deliver', '0x', 1, 1, '0x')
    on conflict (id) do update set state = 'mined'`)
  const answer = { subscription, interval: 1, stake: { token, amount: staked, verifier }, nodeWallet }
  await beginProofs(outbox.db, {
    chain: chainId,
    node: signer.address,
    tx: name,
    answers: [answer],
    receipt,
    time: 1,
    guard: sql`true`,
  })
}

/** Without a verdict. */
const receipt: Receipt = {
  hash: zeroHash,
  to: coordinator,
  block: 1,
  blockHash: zeroHash,
  succeeded: true,
  gasUsed: 1,
  gasPrice: 1n,
  cost: 1n,
  judged: new Set(),
  fulfilled: [],
  moves: [],
  created: [],
  verdicts: [],
}

const settledOf = (subscription: number) =>
  ({ subscription, interval: 1, state: 'settled', verdict: null, refunds: false }) as const

async function apply(op: Op): Promise<void> {
  const { orm } = outbox.db
  if (op.op === 'begin') await begin(op)
  else if (op.op === 'settle') await settleProofs(stepAt(op.block), op.ids.map(settledOf))
  else if (op.op === 'forget') await orm.run(sql`delete from proofs where subscription = ${op.id}`)
  else if (op.op === 'rewind') {
    await rewindProofs(stepAt(op.from), op)
    await orm.run(sql`delete from chain_blocks where number > ${op.from}`)
  } else if (op.op === 'undo')
    await orm.batch([...undoMined(outbox.db, { chain: chainId, where: sql`id = ${`tx-${op.tx}`}` })])
  else
    await orm.run(
      sql`update proofs set stake = ${String(op.amount)}, node_wallet = ${op.wallet} where subscription = ${op.id}`,
    )
}

type Pending = { token: Address; verifier: Address | null; wallet: Address | null; stake: string }

/** What those that are pending add up to. */
async function expected(): Promise<Stake[]> {
  const rows = await outbox.db.orm.all<Pending>(sql`
    select stake_token as token, stake_verifier as verifier, node_wallet as wallet, stake from proofs where state = 'pending'`)
  const sums = new Map<string, Stake>()
  for (const { stake, ...whose } of rows) {
    const key = JSON.stringify(whose)
    const { amount, count } = sums.get(key) ?? { amount: 0n, count: 0 }
    sums.set(key, { ...whose, amount: amount + BigInt(stake), count: count + 1 })
  }
  return sorted([...sums.values()])
}

function sorted(stakes: readonly Stake[]): Stake[] {
  const keyOf = ({ token, verifier, wallet }: Stake) => JSON.stringify([token, verifier, wallet])
  return stakes.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
}

/** Compares after each. @returns how many are pending after each. */
async function runHistory(history: readonly Op[]): Promise<number[]> {
  for (const table of ['proofs', 'chain_blocks', 'transactions'])
    await outbox.db.orm.run(sql.raw(`delete from ${table}`))
  const counts: number[] = []
  for (const op of history) {
    await apply(op)
    const sums = await expected()
    expect(sorted((await readStakes(outbox.db, chainId)).locked)).toEqual(sums)
    expect(sorted((await readCommitted(outbox.db, chainId)).stakes)).toEqual(sums)
    counts.push(sums.reduce((all, { count }) => all + count, 0))
  }
  return counts
}

test('default: by hand, all that may become of them', async () => {
  const whose = { token: addresses[0]!, verifier: addresses[1]!, nodeWallet: addresses[0]! }
  const one = (id: number, amount: bigint) => ({ op: 'begin', id, tx: id, ...whose, amount }) as const
  const counts = await runHistory([
    ...[one(1, most), one(2, most), one(3, 1n), one(3, 2n)],
    ...[{ op: 'settle', ids: [1, 2, 3], block: 5 } as const, { op: 'rewind', from: 4 } as const],
    { op: 'move', id: 2, amount: 10n ** 12n, wallet: null },
    ...[{ op: 'undo', tx: 1 } as const, { op: 'forget', id: 2 } as const, { op: 'forget', id: 3 } as const],
  ])
  expect(counts).toEqual([1, 2, 3, 3, 0, 3, 3, 2, 1, 0])
})

test('property: the sums are those of what is pending, whatever has become of it', async () => {
  const property = fc.asyncProperty(
    fc.array(ops, { minLength: 5, maxLength: 25 }),
    async history => void (await runHistory(history)),
  )
  await fc.assert(property, { numRuns, endOnFailure: true })
}, 60_000)
