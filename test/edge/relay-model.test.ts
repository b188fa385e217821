import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { contentOf } from './stream-model/store.ts'
import { beginAnew, createWorld, killRelay, openModelUpload, type World } from './stream-model/world.ts'

/** Whatever is lost, doubled or late between a runner, the relay, the database and readers, the readers get the same bytes. */

const kibibyte = 1024
const cap = 2048 * kibibyte

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

type Step = { name: string; run(world: World): Promise<void> | void }

const latest = (world: World) => world.uploads.at(-1)
const step = (name: string, run: Step['run']) => fc.constant<Step>({ name, run })

/** What the runner says. It keeps what the edge is not known to have, and forgets nothing of it. */
const speaking = [
  fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 300 * kibibyte })).map<Step>(bytes => ({
    name: `send ${bytes}`,
    run(world) {
      const open = latest(world)?.isCurrent() ? latest(world) : openModelUpload(world, { from: world.have })
      open?.send(bytes)
    },
  })),
  step('end', async world => {
    void latest(world)?.end()
  }),
  fc.integer({ min: 0, max: 10_000 }).map<Step>(ms => ({
    name: `wait ${ms} ms`,
    run: async () => void (await vi.advanceTimersByTimeAsync(ms)),
  })),
  fc.nat(2).chain(index =>
    step(`pause or go on with reader ${index}`, ({ readers }) => {
      const reader = readers[index % readers.length]
      if (reader) reader.isPaused = !reader.isPaused
    }),
  ),
]

const upheavals = [
  step('cut', world => latest(world)?.cut()),
  fc.integer({ min: 0, max: 100 }).map<Step>(percent => ({
    name: `upload again from ${percent} %`,
    run(world) {
      openModelUpload(world, { from: Math.floor((world.have * percent) / 100) }).send(5_000)
    },
  })),
  step('another runner begins anew', beginAnew),
  step('the runner dies, and another one begins anew', async world => {
    latest(world)?.cut()
    await vi.advanceTimersByTimeAsync(0)
    beginAnew(world)
  }),
  step('the relay dies', async world => await killRelay(world, cap)),
  fc.nat(2).chain(index =>
    step(`reader ${index} comes back`, async ({ readers }) => {
      const reader = readers[index % readers.length]
      reader?.drop()
      await reader?.sit()
    }),
  ),
  step('the database goes', ({ store }) => {
    store.isDown = true
  }),
  step('the database comes', ({ store }) => {
    store.isDown = false
  }),
  step('an answer is lost', ({ store }) => {
    store.losesAnswer = true
  }),
]

/** Until everything has been said and is known to have been. */
async function finish(world: World): Promise<void> {
  world.store.isDown = false
  for (const reader of world.readers) reader.isPaused = false
  for (let tries = 0; world.have < world.said && tries < 200; tries += 1) {
    const upload = openModelUpload(world, { from: world.have })
    upload.send(Math.max(0, world.said - world.have))
    const ended = upload.end()
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    for (let waits = 0; !isOver && waits < 50; waits += 1) await vi.advanceTimersByTimeAsync(1_000)
  }
  await vi.advanceTimersByTimeAsync(5_000)
}

async function play(
  steps: readonly Step[],
  { readers, isCapped }: { readers: number; isCapped: boolean },
): Promise<void> {
  vi.clearAllTimers()
  const world = createWorld({ cap: isCapped ? 64 * kibibyte : cap, readers })
  for (const reader of world.readers) await reader.sit()
  for (const { run } of steps) {
    await run(world)
    await vi.advanceTimersByTimeAsync(0)
    // What anybody has seen, no other attempt can contradict.
    const { note, bytes } = world.store.job
    if (world.readers.some(reader => reader.bytes.byteLength > 0))
      expect(note !== null || bytes.byteLength > 0).toBe(true)
  }
  await finish(world)
  expect([world.have, world.isRefused]).toEqual([world.said, false])
  const whole = contentOf(0, world.said, world.store.job.attempt)
  expect(world.store.job.bytes.equals(whole.subarray(0, isCapped ? 64 * kibibyte : cap))).toBe(true)
  for (const { bytes, isLost } of world.readers) {
    expect(isLost).toBe(false)
    expect([bytes.byteLength, bytes.equals(whole)]).toEqual([whole.byteLength, true])
  }
}

const scale = Number(process.env.FUZZ_SCALE ?? 1)
const numRuns = scale * 150
const timeout = scale * 30_000
const seeded = process.env.FUZZ_SEED ? { seed: Number(process.env.FUZZ_SEED) } : {}
const steps = (kinds: fc.Arbitrary<Step>[]) => fc.array(fc.oneof(...kinds), { maxLength: 25 })

test('behavior: whatever is lost on the way, readers get the same bytes', { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(
      steps([...speaking, ...upheavals]),
      fc.integer({ min: 1, max: 3 }),
      async (all, readers) => await play(all, { readers, isCapped: false }),
    ),
    { numRuns, ...seeded },
  )
})

test('behavior: readers that stay get what is beyond the cap as well, however slow one of them is', {
  timeout,
}, async () => {
  const cuts = upheavals.slice(0, 2)
  await fc.assert(
    fc.asyncProperty(
      steps([...speaking, ...cuts]),
      fc.integer({ min: 1, max: 3 }),
      async (all, readers) => await play(all, { readers, isCapped: true }),
    ),
    { numRuns, ...seeded },
  )
})
