import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cap, kibibyte, room, setup, soon } from './stream-model/relay.ts'
import { contentOf } from './stream-model/store.ts'

/** Who leaves a relay, and whom it may have lost. */

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('leaving', () => {
  test('default: a job that nobody reads is ended, and its upload stopped', async () => {
    const { store, sit, relay, onIdle } = setup()
    const reader = await sit()
    const never = new ReadableStream<Uint8Array>()
    const upload = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, never)
    await soon()
    await reader.leave()
    await soon(999)
    expect(store.job.isOver).toBe(false)
    await soon(1)
    expect(store.job.isOver).toBe(true)
    expect(await upload).toEqual({ stale: false, have: 0, stop: true })
    expect(onIdle).toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('behavior: whoever comes back in time keeps it', async () => {
    const { store, sit } = setup()
    const reader = await sit()
    await reader.leave()
    await soon(900)
    await sit()
    await soon(60_000)
    expect(store.job.isOver).toBe(false)
  })

  test('behavior: a reader that was told to leave before it came is not waited for', async () => {
    const { store, relay, sit } = setup()
    await relay.leave({ key: 'early', isFirst: true, hasSat: false, isOver: false, unreadMs: 1_000 })
    const reader = await sit({ key: 'early' })
    expect(await reader.take()).toBe(null)
    await soon(1_000)
    expect(store.job.isOver).toBe(true)
  })

  test('behavior: a reader that left and never comes is missed all the same', async () => {
    const { store, relay, onIdle } = setup()
    await relay.leave({ key: 'gone', isFirst: true, hasSat: false, isOver: false, unreadMs: 1_000 })
    await soon(999)
    expect(store.job.isOver).toBe(false)
    await soon(1)
    expect(store.job.isOver).toBe(true)
    expect(onIdle).toHaveBeenCalled()
  })

  test('behavior: whoever has seen the end leaves without a question to the database', async () => {
    const { store, relay, sit, onIdle } = setup()
    const reader = await sit()
    await relay.leave({ key: reader.key, isFirst: false, hasSat: true, isOver: true, unreadMs: 1_000 })
    await soon(60_000)
    expect(store.job.isOver).toBe(false)
    expect(onIdle).toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('behavior: with the database away it is ended when that is back, and the runner told no sooner', async () => {
    const { store, sit, relay } = setup()
    const reader = await sit()
    const never = new ReadableStream<Uint8Array>()
    let answer: unknown = null
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, never).then(written => {
      answer = written
    })
    await soon()
    store.isDown = true
    await reader.leave()
    await soon(20_000)
    expect(answer).toBe(null)
    store.isDown = false
    await soon(5_000)
    expect(answer).toEqual({ stale: false, have: 0, stop: true })
    expect(store.job.isOver).toBe(true)
  })

  test('behavior: a host that closes ends nothing', async () => {
    const closing = new AbortController()
    const { store, sit } = setup({ closing: closing.signal })
    const reader = await sit()
    closing.abort()
    await reader.leave()
    await soon(60_000)
    expect(store.job.isOver).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('behavior: readers of a relay that has just come to be have 5 s to come back', async () => {
    const { store, upload } = setup()
    await upload(5)
    await soon(4_999)
    expect(store.job.isOver).toBe(false)
    await soon(1)
    expect(store.job.isOver).toBe(true)
  })

  test('behavior: a relay that was there from the beginning calls nobody, and misses who leaves within a second', async () => {
    const { store, relay, sit, ask, upload } = setup()
    const reader = await sit()
    await upload(5)
    await upload(9, { from: 5 })
    await ask({ from: 14 })
    const other = await sit({ from: 14 })
    // As in a process: what it read from is closed by then.
    await other.leave()
    await relay.leave({ key: other.key, isFirst: false, hasSat: true, isOver: false, unreadMs: 1_000 })
    await soon(60_000)
    // Who is refused, or has left before it came, has never sat anywhere, and one that claims to have more than there is, nowhere else.
    await relay.leave({ key: 'refused', isFirst: false, hasSat: false, isOver: false, unreadMs: 1_000 })
    const mistaken = await sit({ from: 1_000, mayFollow: true })
    await mistaken.leave()
    await soon(60_000)
    expect([store.calls, store.job.isOver]).toEqual([0, false])
    await relay.leave({ key: reader.key, isFirst: false, hasSat: true, isOver: false, unreadMs: 1_000 })
    await soon(1_000)
    expect([store.calls, store.job.isOver]).toEqual([0, true])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('behavior: of a thousand readers that come and go it remembers none, and calls nobody for the next one', async () => {
    const { store, relay, sit } = setup()
    const first = await sit()
    await relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, new Response('first').body)
    for (let come = 0; come < 1_000; come++) {
      const { key, leave } = await sit({ mayFollow: true })
      await leave()
      await relay.leave({ key, isFirst: false, hasSat: true, isOver: false, unreadMs: 1_000 })
    }
    await soon(60_000)
    expect([store.calls, store.job.isOver]).toEqual([0, false])
    await first.leave()
  })

  test('behavior: who never sat is missed by no relay that has just come to be', async () => {
    const { store, relay } = setup()
    await relay.leave({ key: 'refused', isFirst: false, hasSat: false, isOver: false, unreadMs: 1_000 })
    await soon(60_000)
    expect([store.calls, store.job.isOver]).toEqual([0, false])
  })

  describe('of a relay that may have lost readers', () => {
    type World = ReturnType<typeof setup>
    const leaving = { isFirst: false, hasSat: true, isOver: false, unreadMs: 1_000 }
    const signs: [string, (world: World) => Promise<unknown>][] = [
      ['an upload goes on', ({ upload }) => upload(5, { from: 10 })],
      [
        'there is output',
        ({ store, upload }) => {
          store.job.bytes = contentOf(0, 10)
          return upload(5)
        },
      ],
      [
        'another one has noted that it may pass output on',
        ({ store, upload }) => {
          store.job.note = { relay: 'one that is gone', turn: 1 }
          return upload(5)
        },
      ],
      ['one leaves that it does not know', ({ relay }) => relay.leave({ key: 'gone', ...leaving })],
      [
        'one comes first, found the job running, and leaves',
        async ({ sit }) => await (await sit({ mayFollow: true })).leave(),
      ],
      [
        'one comes that has read more than there is, and leaves',
        async ({ sit }) => await (await sit({ from: 10, mayFollow: true })).leave(),
      ],
    ]

    test.for(signs)(
      'behavior: they are called when %s, four times, and then nobody is waited for',
      async ([, come]) => {
        const world = setup()
        const { store, onIdle } = world
        await come(world)
        const calls: number[] = []
        for (const ms of [499, 1, 999, 1, 1_999, 1, 3_999, 1, 7_999]) {
          await soon(ms)
          calls.push(store.calls)
        }
        expect([calls, store.job.isOver]).toEqual([[0, 1, 1, 2, 2, 3, 3, 4, 4], false])
        await soon(1)
        expect([store.calls, store.job.isOver]).toEqual([4, true])
        expect(onIdle).toHaveBeenCalled()
        expect(vi.getTimerCount()).toBe(0)
      },
    )

    test.for(signs)('behavior: also when %s and another reader comes, and leaves', async ([, come]) => {
      const world = setup()
      const { store, sit, relay } = world
      await come(world)
      const other = await sit({ from: store.job.bytes.byteLength })
      await soon(600)
      expect(store.calls).toBe(1)
      await other.leave()
      await soon(14_000)
      expect(store.job.isOver).toBe(false)
      expect(await relay.keep({ key: 'held', from: 0, mayFollow: true, unreadMs: 1_000 })).not.toBe('there')
      await soon(60_000)
      expect([store.calls, store.job.isOver]).toEqual([4, false])
      await relay.leave({ key: 'held', ...leaving })
      await soon(1_000)
      expect(store.job.isOver).toBe(true)
      expect(vi.getTimerCount()).toBe(0)
    })

    test.for(signs)(
      'behavior: nobody is called when %s, where readers share its process',
      async ([, come]) => {
        const world = setup({ sharesProcess: true })
        await come(world)
        await soon(5_000)
        expect([world.store.calls, world.store.job.isOver]).toEqual([0, true])
        expect(vi.getTimerCount()).toBe(0)
      },
    )

    test.for(signs)(
      'behavior: there one that comes back is not the last when %s: it leaves, and others still may',
      async ([, come]) => {
        const { store, sit, ...world } = setup({ sharesProcess: true })
        await come({ store, sit, ...world })
        await soon(200)
        await (await sit({ from: store.job.bytes.byteLength })).leave()
        await soon(3_200)
        expect(store.job.isOver).toBe(false)
        const other = await sit()
        await soon(60_000)
        expect([store.calls, store.job.isOver]).toEqual([0, false])
        await other.leave()
        await soon(1_000)
        expect(store.job.isOver).toBe(true)
      },
    )

    test('behavior: nobody is called any more when the job has ended', async () => {
      const { store, relay, sit, upload, onIdle } = setup()
      const reader = await sit({ from: 10, mayFollow: true })
      await upload(5, { from: 10 })
      await relay.leave({ ...leaving, key: reader.key, isOver: true })
      await soon(60_000)
      expect([store.calls, store.job.isOver]).toEqual([0, false])
      expect(onIdle).toHaveBeenCalled()
      expect(vi.getTimerCount()).toBe(0)
    })

    test.for([
      { sharesProcess: false, calls: 1 },
      { sharesProcess: true, calls: 0 },
    ])(
      'behavior: beyond the cap one that is called, or comes back, finds there what a faster one has had since: $sharesProcess',
      async ({ sharesProcess, calls }) => {
        const { store, sit, relay, body } = setup({ sharesProcess })
        store.job.bytes = contentOf(0, cap)
        const fast = await sit({ from: cap })
        void fast.follow()
        const { made, stream } = body(cap, 4 * cap)
        void relay.write({ runner: 'r', id: 'j', attempt: 1, from: cap }, stream)
        await soon(600)
        expect([store.calls, fast.seen.bytes > 0]).toEqual([calls, true])
        const held = await relay.keep({ key: 'held', from: cap, mayFollow: true, unreadMs: 1_000 })
        if (held === null || held === 'there') throw new Error('It has no seat')
        const source = held.getReader()
        expect((await source.read()).value?.offset).toBe(cap)
        await soon(60_000)
        expect(made.bytes).toBeLessThanOrEqual(room + 64 * kibibyte)
        await source.cancel()
        await soon(10_000)
        expect(fast.seen.bytes).toBe(4 * cap)
      },
    )
  })

  test('behavior: who is called and is there keeps what is on its way', async () => {
    const { relay, sit, upload } = setup()
    const reader = await sit()
    await upload(5)
    expect(await relay.keep({ key: reader.key, from: 0, mayFollow: true, unreadMs: 1_000 })).toBe('there')
    const other = await relay.keep({ key: 'other', from: 2, mayFollow: true, unreadMs: 1_000 })
    if (other === null || other === 'there') throw new Error('It has no seat')
    const { value } = await other.getReader().read()
    expect([value?.offset, Buffer.from(value?.bytes ?? [])]).toEqual([2, contentOf(2, 5)])
  })

  test('behavior: nothing is left of an upload for a lease that there is not', async () => {
    const { ask, store, onIdle } = setup()
    expect(await ask({ attempt: 9 })).toEqual({ stale: true })
    expect(onIdle).toHaveBeenCalledTimes(1)
    store.isDown = true
    await expect(ask()).rejects.toThrow()
    expect(onIdle).toHaveBeenCalledTimes(2)
    expect(vi.getTimerCount()).toBe(0)
  })
})
