import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import type { Rpc } from '../../../../src/edge/chain/rpc.ts'
import { createModelChain, type ModelChain } from './model-chain.ts'
import { chainId, createOutbox, look, type Outbox } from './node.ts'

/** Nonces whose transactions are forgotten. */

let outbox: Outbox
let chain: ModelChain

beforeAll(async () => {
  outbox = await createOutbox()
})
afterAll(async () => await outbox.close())
beforeEach(async () => {
  await outbox.clear()
  chain = createModelChain()
  for (const subscription of [1, 2, 3]) {
    await outbox.answer({ subscription })
    await tick()
    chain.mine()
    await tick()
  }
  for (let block = 0; block < 9; block++) chain.mine()
  await tick()
  const { number: head } = chain.head()
  outbox.clock.ms += 1
  await pruneChain(outbox.db, { chain: chainId, head, reorgDepth: 8, retentionMs: 0, waitMs: 1e12 })
  expect(await nonces()).toEqual([[2, 'final']])
})

const tick = async (rpc: Rpc = chain.rpc) =>
  await look(outbox.step(chain.head(), { rpc, coordinator: chain.coordinator }))
const nonces = async () => (await outbox.transactions()).map(({ nonce, state }) => [nonce, state])

/** An endpoint that tells of a nonce from before all of it, and takes whatever it is given. */
function lagging(): Rpc {
  return {
    ...chain.rpc,
    send: async calls => {
      const answers = await chain.rpc.send(calls)
      return answers.map((answer, index) =>
        calls[index]?.method === 'eth_getTransactionCount' ? { result: '0x0' } : answer,
      )
    },
  }
}

test('behavior: an answer takes none of them, though an endpoint calls them free', async () => {
  await outbox.answer({ subscription: 4 })
  await tick(lagging())
  expect(await nonces()).toEqual([
    [2, 'final'],
    [3, 'sent'],
  ])
  chain.mine()
  await tick()
  expect(chain.accepted()).toEqual(['1/1', '2/1', '3/1', '4/1'])
})

test('behavior: they are no holes that are to be filled', async () => {
  await outbox.answer({ subscription: 4 })
  await tick()
  chain.mine({ withhold: true })
  await tick(lagging())
  expect(await nonces()).toEqual([
    [2, 'final'],
    [3, 'sent'],
  ])
})
