import { expect, test } from 'vitest'
import { createTicker } from '../../../src/edge/chain/tick/ticker.ts'

/** Ticks that end when the test says so. */
function setUp() {
  const begun: { poked: boolean; end: (at: number) => void }[] = []
  const armed: number[] = []
  const ticker = createTicker({
    tick: ({ poked }) => {
      const { promise, resolve } = Promise.withResolvers<number>()
      begun.push({ poked, end: resolve })
      return promise
    },
    report: () => null,
    arm: at => void armed.push(at),
  })
  return { ticker, begun, armed }
}

test('default: a poke ticks, and sets the alarm', async () => {
  const { ticker, begun, armed } = setUp()
  const poked = ticker.poke()
  begun[0]?.end(7)
  await poked
  expect(begun).toMatchObject([{ poked: true }])
  expect(armed).toEqual([7])
})

test('behavior: pokes that come while it ticks share one more tick, which begins after them', async () => {
  const { ticker, begun, armed } = setUp()
  const first = ticker.due()
  const others = [ticker.poke(), ticker.poke(), ticker.poke()]
  expect(begun).toHaveLength(1)
  begun[0]?.end(1)
  await first
  await expect.poll(() => begun.length).toBe(2)
  begun[1]?.end(2)
  await Promise.all(others)
  expect(begun).toMatchObject([{ poked: false }, { poked: true }])
  expect(armed).toEqual([1, 2])
})

test('behavior: an alarm that goes off while it ticks is not one more', async () => {
  const { ticker, begun } = setUp()
  const both = [ticker.due(), ticker.due()]
  begun[0]?.end(1)
  await Promise.all(both)
  expect(begun).toHaveLength(1)
})

test('behavior: an alarm that cannot be set does not keep the next tick from its time', async () => {
  let isBroken = true
  const ticker = createTicker({
    tick: async () => 1,
    report: () => null,
    arm() {
      if (isBroken) throw new Error('storage')
    },
  })
  await expect(ticker.poke()).rejects.toThrow('storage')
  isBroken = false
  await ticker.poke()
})

test('behavior: a poke that comes as a tick ends does not begin a second one beside the one that is due', async () => {
  const { ticker, begun } = setUp()
  const first = ticker.due()
  const waiting = ticker.poke()
  // Heard of the end before the one that waits is begun.
  const late = first.then(() => ticker.poke())
  begun[0]?.end(1)
  await first
  await expect.poll(() => begun.length).toBe(2)
  await new Promise(resolve => setImmediate(resolve))
  expect(begun).toHaveLength(2)
  begun[1]?.end(2)
  await Promise.all([waiting, late])
})
