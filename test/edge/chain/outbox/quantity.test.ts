import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Rpc, RpcAnswer } from '../../../../src/edge/chain/rpc.ts'
import { coordinator, createModelChain, type ModelChain } from './model-chain.ts'
import { chainId, createOutbox, look, type Outbox } from './node.ts'

/** An endpoint that tells `0x` where a number is asked for: nothing is known, and everything else goes on. */

let outbox: Outbox
let model: ModelChain
beforeEach(async () => {
  outbox = await createOutbox()
  model = createModelChain()
  await outbox.db.orm.run(sql`
    insert into chains (id, coordinator, next_id, head_number, head_hash) values (${chainId}, '0x', 1, 0, '')`)
})
afterEach(async () => await outbox?.close())

test.for(['eth_estimateGas', 'eth_maxPriorityFeePerGas'])(
  'behavior: of %s: the answer is sent all the same',
  async method => {
    await outbox.answer({ subscription: 1 })
    const rpc: Rpc = {
      ...model.rpc,
      async send(calls, ...rest) {
        const answers = await model.rpc.send(calls, ...rest)
        return calls.map((call, index) =>
          call.method === method ? { result: '0x' } : (answers[index] as RpcAnswer),
        )
      },
    }
    model.mine()
    await look(outbox.step(model.head(), { rpc, coordinator }))
    expect(await outbox.deliveries()).toMatchObject([{ state: 'sending' }])
  },
)
