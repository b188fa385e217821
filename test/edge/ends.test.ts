import * as fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { type Bell, type Bells, createBells } from '../../src/edge/bell/bell.ts'
import { ringEnded } from '../../src/edge/bell/ended.ts'
import { createEnds, type Ends, maxWaiting } from '../../src/edge/bell/ends.ts'

/** Longer than any wait for an end that is rung for may take here, and far below the waits themselves. */
const soonMs = 1_000
const longMs = 20_000
/** All of one bell: the last character decides. */
const ids = Array.from({ length: 20 }, (_, index) => `job-${index}-0`)

type Wrapped = { bells: Bells; waits(): number; fail: boolean; lose: boolean; loseWaits: boolean }

/** Bells whose waits are counted, fail, or never come back, as those of a request that was killed. */
function wrap(inner: Bells = createBells()): Wrapped {
  let waits = 0
  const wrapped: Wrapped = {
    waits: () => waits,
    fail: false,
    lose: false,
    loseWaits: false,
    bells: topic => {
      const bell = inner(topic)
      return {
        ticket: async () => await guard(bell.ticket()),
        wait: async (...args: Parameters<Bell['wait']>) => {
          waits += 1
          return wrapped.loseWaits ? await new Promise<never>(() => {}) : await guard(bell.wait(...args))
        },
        ring: bell.ring,
      } satisfies Bell
    },
  }
  async function guard<Value>(value: Promise<Value>): Promise<Value> {
    if (wrapped.fail) throw new Error('The bell fails')
    return wrapped.lose ? await new Promise<never>(() => {}) : await value
  }
  return wrapped
}

type Waiting = { id: string; left: AbortController; done: Promise<boolean>; looked: Promise<void> }

type WaitingOptions = { ms?: number; hasEnded?: boolean | Promise<boolean> }

function wait(ends: Ends, id: string, { ms = longMs, hasEnded = false }: WaitingOptions = {}): Waiting {
  const left = new AbortController()
  const { promise: looked, resolve } = Promise.withResolvers<void>()
  const done = ends.wait(id, { deadline: Date.now() + ms, signal: left.signal }, async () => {
    resolve()
    return await hasEnded
  })
  return { id, left, done, looked }
}

async function took(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

const now = () => Date.now()

describe('ends', () => {
  test('default: all hear of their own ends, by one wait at the bell at a time', async () => {
    const { bells, waits } = wrap()
    const ends = createEnds({ bells, now })
    const waiting = ids.map(id => wait(ends, id))
    await Promise.all(waiting.map(({ looked }) => looked))
    expect(waits()).toBeLessThanOrEqual(1)
    await ringEnded(bells, ids.slice(1, 3))
    expect(await took(Promise.all([waiting[1]?.done, waiting[2]?.done]))).toBeLessThan(soonMs)
    const others = Promise.race(waiting.toSpliced(1, 2).map(({ done }) => done))
    expect(await Promise.race([others, new Promise(resolve => setTimeout(resolve, 50, 'none'))])).toBe('none')
    await ringEnded(bells, ids)
    expect(await took(Promise.all(waiting.map(({ done }) => done)))).toBeLessThan(soonMs)
    expect(waits()).toBeLessThanOrEqual(4)
  })

  test('behavior: one that has heard of many ends hands on, and nobody misses any', async () => {
    const { bells, waits } = wrap()
    const ends = createEnds({ bells, now })
    const [first, second] = [wait(ends, 'first-0'), wait(ends, 'second-0')]
    for (let heard = 1; heard <= 200; heard += 1) {
      await vi.waitUntil(() => waits() === heard, { interval: 1 })
      await ringEnded(bells, ['other-0'])
    }
    expect(await took(first.done)).toBeLessThan(soonMs)
    await ringEnded(bells, ['second-0'])
    expect(await took(second.done)).toBeLessThan(soonMs)
    expect(waits()).toBe(201)
  })

  test('behavior: a job that has ended already is not waited for', async () => {
    const ends = createEnds({ bells: createBells(), now })
    expect(await took(wait(ends, 'job-0', { hasEnded: true }).done)).toBeLessThan(soonMs)
  })

  test.for(['leaves', 'is answered', 'runs out of time'])(
    'behavior: when the first %s, another listens on',
    async how => {
      const bells = createBells()
      const ends = createEnds({ bells, now })
      const first = wait(ends, 'first-0', how === 'runs out of time' ? { ms: 50 } : {})
      await first.looked
      const others = ids.map(id => wait(ends, id))
      await Promise.all(others.map(({ looked }) => looked))
      if (how === 'leaves') first.left.abort()
      if (how === 'is answered') await ringEnded(bells, ['first-0'])
      await first.done
      await ringEnded(bells, ids)
      expect(await took(Promise.all(others.map(({ done }) => done)))).toBeLessThan(soonMs)
    },
  )

  test('behavior: an end that rings while nobody listens is heard by the next', async () => {
    const bells = createBells()
    const ends = createEnds({ bells, now })
    const first = wait(ends, 'first-0')
    await first.looked
    const second = wait(ends, 'second-0')
    await second.looked
    first.left.abort()
    await ringEnded(bells, ['second-0'])
    expect(await took(second.done)).toBeLessThan(soonMs)
  })

  test('behavior: when the first is killed and nobody knows what it heard, all look again', async () => {
    const wrapped = wrap()
    const ends = createEnds({ bells: wrapped.bells, now, sliceMs: 50 })
    wrapped.lose = true
    const first = wait(ends, 'first-0')
    const second = wait(ends, 'second-0')
    wrapped.lose = false
    expect(await took(second.done)).toBeLessThan(10_000)
    first.left.abort()
  })

  test('behavior: one that is killed as it begins to listen is noticed within 14 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    try {
      const wrapped = wrap()
      const ends = createEnds({ bells: wrapped.bells, now })
      wrapped.loseWaits = true
      const first = wait(ends, 'first-0', { ms: 60_000 })
      await vi.advanceTimersByTimeAsync(3_500)
      const second = wait(ends, 'second-0', { ms: 60_000 })
      let isTold = false
      void second.done.then(() => {
        isTold = true
      })
      await vi.advanceTimersByTimeAsync(10_400)
      expect(isTold).toBe(false)
      await vi.advanceTimersByTimeAsync(100)
      expect(isTold).toBe(true)
      first.left.abort()
    } finally {
      vi.useRealTimers()
    }
  })

  /** Clocks of their own, so that time passes for nobody but those that wait. */
  function startClock(): { now(): number; pass(ms: number): void } {
    let passedMs = 0
    return {
      now: () => Date.now() + passedMs,
      pass(ms) {
        passedMs += ms
      },
    }
  }
  /** Longer than anyone waits for a leader, and shorter than a wait. */
  const deadMs = 18_000

  test('behavior: when another takes over from one that was killed, all look again', async () => {
    const wrapped = wrap()
    const clock = startClock()
    const ends = createEnds({ bells: wrapped.bells, now: clock.now })
    wrapped.loseWaits = true
    const first = wait(ends, 'first-0')
    await expect.poll(wrapped.waits).toBe(1)
    const second = wait(ends, 'second-0')
    await second.looked
    await ringEnded(wrapped.bells, ['second-0'])
    wrapped.loseWaits = false
    clock.pass(deadMs)
    const third = wait(ends, 'third-0', { ms: 2 * longMs })
    expect(await took(second.done)).toBeLessThan(soonMs)
    await ringEnded(wrapped.bells, ['third-0'])
    expect(await took(third.done)).toBeLessThan(soonMs)
    first.left.abort()
  })

  test('behavior: one that was taken for dead and was only slow listens no more', async () => {
    const wrapped = wrap()
    const clock = startClock()
    const ends = createEnds({ bells: wrapped.bells, now: clock.now })
    const first = wait(ends, 'first-0')
    await expect.poll(wrapped.waits).toBe(1)
    clock.pass(deadMs)
    const others = ['second-0', 'third-0'].map(id => wait(ends, id, { ms: 2 * longMs }))
    await expect.poll(wrapped.waits).toBe(2)
    await ringEnded(wrapped.bells, ['nobody-0'])
    expect(await took(first.done)).toBeLessThan(soonMs)
    await ringEnded(wrapped.bells, ['second-0', 'third-0'])
    expect(await took(Promise.all(others.map(({ done }) => done)))).toBeLessThan(soonMs)
    expect(wrapped.waits()).toBeLessThanOrEqual(4)
  })

  test('behavior: one that still looks at the database is not taken for dead', async () => {
    const wrapped = wrap()
    const clock = startClock()
    const ends = createEnds({ bells: wrapped.bells, now: clock.now })
    const { promise: hasEnded, resolve: answer } = Promise.withResolvers<boolean>()
    const slow = wait(ends, 'slow-0', { hasEnded })
    await slow.looked
    clock.pass(10_000)
    const others = ['second-0', 'third-0'].map(id => wait(ends, id))
    await Promise.all(others.map(({ looked }) => looked))
    answer(false)
    await expect.poll(wrapped.waits).toBe(1)
    await ringEnded(wrapped.bells, ['slow-0', 'second-0', 'third-0'])
    expect(await took(Promise.all([slow, ...others].map(({ done }) => done)))).toBeLessThan(soonMs)
    expect(wrapped.waits()).toBe(1)
  })

  test('behavior: a bell that fails makes each look about once a second, and no more', async () => {
    const wrapped = wrap()
    const ends = createEnds({ bells: wrapped.bells, now })
    wrapped.fail = true
    const ms = await took(wait(ends, 'job-0').done)
    expect(ms).toBeGreaterThan(900)
    expect(ms).toBeLessThan(1_000 + soonMs)
    wrapped.fail = false
    const after = wait(ends, 'job-0')
    await after.looked
    await ringEnded(wrapped.bells, ['job-0'])
    expect(await took(after.done)).toBeLessThan(soonMs)
  })

  test('behavior: a bell that failed once is listened to again by the first that can', async () => {
    const wrapped = wrap()
    const ends = createEnds({ bells: wrapped.bells, now })
    wrapped.fail = true
    const waiting = ['first-0', 'second-0', 'third-0'].map(id => wait(ends, id))
    await Promise.all(waiting.map(({ looked }) => looked))
    wrapped.fail = false
    expect(await took(Promise.all(waiting.map(({ done }) => done)))).toBeLessThan(1_000 + soonMs)
  })

  test('behavior: beyond so many, one is told at once that it cannot wait', async () => {
    const bells = createBells()
    const ends = createEnds({ bells, now })
    const waiting = Array.from({ length: maxWaiting }, (_, index) => wait(ends, `job-${index}`))
    expect(await wait(ends, 'late').done).toBe(false)
    for (const { left } of waiting) left.abort()
    const room = wait(ends, 'job-0')
    await room.looked
    await ringEnded(bells, ['job-0'])
    expect(await room.done).toBe(true)
  })

  type Event = { kind: 'come' | 'leave' | 'end'; id: number }
  const event: fc.Arbitrary<Event> = fc.record({
    kind: fc.constantFrom('come', 'come', 'leave', 'end'),
    id: fc.nat(4),
  })

  test('behavior: whoever comes and goes, an end is heard by all that wait for it', async () => {
    const property = fc.asyncProperty(
      fc.array(event, { maxLength: 30 }),
      fc.boolean(),
      async (events, slow) => {
        const bells = createBells()
        const ends = createEnds({ bells, now })
        const ended = new Set<string>()
        let waiting: Waiting[] = []
        for (const { kind, id } of events) {
          const name = `job-${id}-0`
          if (kind === 'come') waiting.push(wait(ends, name, { hasEnded: ended.has(name) }))
          if (kind === 'leave') waiting.splice(id, 1)[0]?.left.abort()
          if (kind === 'end') {
            ended.add(name)
            await ringEnded(bells, [name])
          }
          if (slow) await new Promise(resolve => setImmediate(resolve))
        }
        waiting = waiting.filter(({ id }) => ended.has(id))
        expect(await took(Promise.all(waiting.map(({ done }) => done)))).toBeLessThan(soonMs)
      },
    )
    await fc.assert(property, { numRuns: 300 })
  }, 60_000)
})
