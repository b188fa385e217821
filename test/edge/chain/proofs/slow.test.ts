import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { countRejected, uncountMined } from '../../../../src/edge/chain/guard/record.ts'
import { writeMined } from '../../../../src/edge/chain/outbox/mined.ts'
import { readOpen } from '../../../../src/edge/chain/outbox/open.ts'
import { readReceipt } from '../../../../src/edge/chain/outbox/receipt.ts'
import { coordinator, createModelChain } from '../outbox/model-chain.ts'
import { chainId, createOutbox, look, type Outbox, signer } from '../outbox/node.ts'

/** One of two that look at the same time is slow: what the other has written since stays. */

const zero = '0x0000000000000000000000000000000000000000'

let outbox: Outbox
beforeEach(async () => {
  outbox = await createOutbox()
})
afterEach(async () => await outbox?.close())

test('default: a proof that is judged by then is not begun again', async () => {
  const { db } = outbox
  const model = createModelChain()
  const features = { status: true, batch: true, bounded: false }
  const step = () => outbox.step(model.head(), { rpc: model.rpc, coordinator, features })
  await outbox.answer({ subscription: 1 })
  await db.orm.run(sql`update deliveries set stake_token = ${zero}, stake = '1000'`)
  await look(step())
  model.mine()
  const [open] = await readOpen(db, { chain: chainId, signer: signer.address })
  const [told] = await model.rpc.send([{ method: 'eth_getTransactionReceipt', params: [open!.hashes[0]] }])
  const receipt = readReceipt(told, coordinator)!
  const slow = step()
  await look(step())
  const proofs = () => db.orm.all(sql`select state, due_at, settled_block from proofs`)
  expect(await proofs()).toEqual([{ state: 'pending', due_at: model.head().time, settled_block: null }])
  const judged = { state: 'rejected', due_at: null, settled_block: 3 }
  await db.orm.run(sql`update proofs set state = 'rejected', due_at = null, settled_block = 3`)
  await writeMined(slow, { open: open!, receipt, at: 1 })
  expect(await proofs()).toEqual([judged])
})

test('behavior: what is told twice of a verdict counts once, and once more when it was undone', async () => {
  const { db } = outbox
  const rejected = { source: 'proof 31337 1 1', owner: '0xaa', gas: 5, cost: 7n * 10n ** 9n + 3n }
  const count = async () =>
    await db.orm.batch(countRejected(db, { chain: chainId, block: 3, rejected, guard: sql`true` }))
  const counted = () =>
    db.orm.all(sql`
      select consumers.owner, paid, consumers.rejected, consumers.wasted_gas, wasted_gwei, wasted_wei, consumer_hours.rejected as hour
      from consumers join consumer_hours using (chain, owner) order by 1`)
  const sums = { paid: -1, rejected: 1, wasted_gas: 5, wasted_gwei: 7, wasted_wei: 3, hour: 1 }
  const once = ['*', '0xaa'].map(owner => ({ owner, ...sums }))
  await count()
  expect(await counted()).toEqual(once)
  await count()
  expect(await counted()).toEqual(once)
  await db.orm.batch(uncountMined(db, { chain: chainId, txs: sql`(${rejected.source})` }))
  expect(await counted()).toMatchObject([
    { paid: 0, rejected: 0 },
    { paid: 0, hour: 0 },
  ])
  await count()
  expect(await counted()).toEqual(once)
})
