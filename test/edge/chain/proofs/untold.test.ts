import { sql } from 'drizzle-orm'
import {
  type Address,
  encodeAbiParameters,
  encodeEventTopics,
  encodeFunctionResult,
  padHex,
  zeroHash,
} from 'viem'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { followProofs } from '../../../../src/edge/chain/proofs/follow.ts'
import type { Rpc, RpcAnswer, RpcCall } from '../../../../src/edge/chain/rpc.ts'
import { eip712CoordinatorAbi as abi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { coordinator, createModelChain } from '../outbox/model-chain.ts'
import { chainId, createOutbox, type Outbox, signer } from '../outbox/node.ts'

/** Verdicts that logs tell of, and no receipt, and those that no log tells of: nothing is booked by them, and nothing waits for them. */

const verifier: Address = '0x00000000000000000000000000000000000000ff'
/** So many that one look searches for no others. */
const stuck = 10
const model = createModelChain()
model.mine()

let outbox: Outbox
/** Ids whose logs were asked for. */
let searched: number[]

beforeEach(async () => {
  outbox = await createOutbox()
  searched = []
  await outbox.db.orm.run(sql`
    insert into chains (id, coordinator, next_id, head_number, head_hash) values (${chainId}, '0x', 1, 0, '')`)
})
afterEach(async () => await outbox?.close())

function answer({ method, params }: RpcCall): RpcAnswer {
  if (method === 'eth_getTransactionReceipt') return { result: null }
  if (method === 'eth_call')
    return {
      result: encodeFunctionResult({
        abi,
        functionName: 'proofRequests',
        result: [0, verifier, 0n] as never,
      }),
    }
  const [{ topics }] = params as [{ topics: readonly string[] }]
  const id = Number(topics[1])
  searched.push(id)
  return { result: id <= stuck ? [verdict(id)] : [] }
}

function verdict(id: number) {
  return {
    address: coordinator,
    topics: encodeEventTopics({
      abi,
      eventName: 'ProofVerified',
      args: { id, interval: 1, node: signer.address },
    }),
    data: encodeAbiParameters(
      [{ type: 'bool' }, { type: 'address' }, { type: 'bool' }],
      [true, verifier, true],
    ),
    transactionHash: padHex('0x77'),
    blockNumber: '0x1',
    blockHash: model.hashAt(1) ?? zeroHash,
  }
}

test('default: they are put off, the others are looked up, and none is said to be settled', async () => {
  const { db } = outbox
  for (let id = 1; id <= stuck + 2; id++)
    await db.orm.run(sql`
      insert into proofs (chain, subscription, interval, node, state, due_at, looks, looked_block)
      values (${chainId}, ${id}, 1, ${signer.address}, 'pending', ${id}, 9, 1)`)
  const rpc: Rpc = { ...model.rpc, send: async calls => calls.map(answer) }
  const features = { status: false, batch: true, bounded: true }
  const follow = () => followProofs(outbox.step(model.head(), { rpc, coordinator, features }))
  expect(await follow()).toEqual({ isLeft: true, isForked: false })
  expect(await follow()).toEqual({ isLeft: false, isForked: false })
  expect(searched).toEqual(Array.from({ length: stuck + 2 }, (_, index) => index + 1))
  const dues = () =>
    db.orm.all(sql`
      select state, problem, due_at - ${model.head().time} as due, count(*) as count from proofs group by 1, 2, 3 order by 1, 2`)
  // Soon, as an endpoint may only be behind; and then ever later.
  const putOff = (due: number) => [
    { state: 'pending', problem: 'No log tells of its verdict', due, count: 2 },
    { state: 'pending', problem: 'The receipt does not tell of it', due, count: stuck },
  ]
  expect(await dues()).toEqual(putOff(30))
  model.mine({ seconds: 30 })
  for (let looks = 0; looks < 2; looks++) await follow()
  expect(await dues()).toEqual(putOff(60))
  expect(outbox.lines.filter(({ event }) => event === 'Proof settled')).toEqual([])
})
