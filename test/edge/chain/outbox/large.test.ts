import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Queue, startQueue } from '../../../support/queue.ts'
import { createModelChain } from './model-chain.ts'
import { createOutbox, gasPolicy, look, type Outbox } from './node.ts'

/** Answers as large as they may be, before a server that tells 4 MiB at once, as some hosts do. */

let queue: Queue
let outbox: Outbox

beforeAll(async () => {
  queue = await startQueue()
  outbox = await createOutbox({ url: queue.proxy.url })
})
afterAll(async () => {
  await outbox.close()
  await queue.close()
})
beforeEach(async () => await outbox.clear())

const count = 40

test('default: they are sent in rounds, and none is lost', async () => {
  const chain = createModelChain()
  const { rpc, coordinator, settings } = chain
  const config = { maxOutputBytes: 120_000, gas: { ...gasPolicy, maxInFlight: 64 } }
  const tick = async () => await look(outbox.step(chain.head(), { rpc, coordinator, config }))
  for (let id = 1; id <= count; id++)
    await outbox.answer({ subscription: id, output: `"${'x'.repeat(119_900)}"` })
  // Each is encoded, and none can be paid for; then none is taken.
  settings.balance = 0n
  for (let round = 0; round < count; round++) await tick()
  Object.assign(settings, { balance: 10n ** 20n, refusesSends: true })
  await tick()
  settings.refusesSends = false
  for (let round = 0; round < count && chain.accepted().length < count; round++) {
    await tick()
    chain.mine()
  }
  expect(chain.accepted().toSorted(byId)).toEqual(Array.from({ length: count }, (_, id) => `${id + 1}/1`))
  expect(queue.proxy.largestResponse()).toBeLessThan(4 * 1024 * 1024)
})

const byId = (a: string, b: string) => Number(a.split('/')[0]) - Number(b.split('/')[0])
