import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createRelay, type RelayOptions } from '../../src/edge/stream/relay.ts'
import { limits } from '../../src/protocol/limits.ts'
import { contentOf, createFakeStore } from './stream-model/store.ts'

const kibibyte = 1024
const cap = 1024 * kibibyte
const room = limits.streamWindowBytes + limits.streamStoreBytes + 64 * kibibyte

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const soon = async (ms = 0) => void (await vi.advanceTimersByTimeAsync(ms))

function setup({ unreadMs = 1_000, ...options }: Partial<RelayOptions> & { unreadMs?: number | null } = {}) {
  const store = createFakeStore({ unreadMs })
  const onIdle = vi.fn()
  const relay = createRelay({ store, storedBytes: cap, onIdle, ...options })
  const lease = { runner: 'r', id: 'j', attempt: 1 }
  let keys = 0

  /** A body that makes 64 KiB when it is asked for more. */
  function body(from: number, bytes: number) {
    const made = { bytes: 0 }
    const stream = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const piece = Math.min(64 * kibibyte, bytes - made.bytes)
          if (piece === 0) return controller.close()
          controller.enqueue(contentOf(from + made.bytes, from + made.bytes + piece))
          made.bytes += piece
        },
      },
      { highWaterMark: 0 },
    )
    return { made, stream }
  }

  /** A body that a test writes by hand. */
  function writable() {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    const stream = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given
      },
    })
    return { stream, write: (from: number, to: number) => controller?.enqueue(contentOf(from, to)) }
  }

  return {
    store,
    relay,
    writable,
    onIdle,
    body,
    upload: (bytes: number, { from = 0, attempt = 1 } = {}) =>
      relay.write({ ...lease, attempt, from }, body(from, bytes).stream),
    ask: ({ from = 0, attempt = 1 } = {}) => relay.write({ ...lease, attempt, from }, null),
    /** A reader that takes a frame when it is told to. */
    async sit({
      from = 0,
      mayFollow = false,
      ...given
    }: {
      from?: number
      mayFollow?: boolean
      key?: string
    } = {}) {
      keys += 1
      const key = given.key ?? `k${keys}`
      const output = await relay.read({ key, from, mayFollow, unreadMs })
      const source = output?.getReader()
      const seen = { bytes: 0, offset: -1, isOver: false }
      const take = async () => {
        const { done, value } = (await source?.read()) ?? { done: true }
        if (done || !value) {
          seen.isOver = true
          return null
        }
        seen.bytes += value.bytes.byteLength
        seen.offset = value.offset
        return value
      }
      return {
        key,
        isCrowded: output === null,
        seen,
        take,
        /** Takes all that comes from here on. */
        async follow() {
          while ((await take()) !== null);
        },
        leave: () => source?.cancel(),
      }
    },
  }
}

/** A body that does as it is told. */
function writableBody() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const stream = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given
    },
  })
  const acts: Record<string, () => void> = {
    'says something': () => controller?.enqueue(contentOf(0, 10)),
    ends: () => controller?.close(),
    'breaks off': () => controller?.error(new Error('cut')),
  }
  return { stream, write: (act: string) => acts[act]?.() }
}

describe('what readers see', () => {
  test('default: everything as it comes, once no other attempt may begin', async () => {
    const { store, sit, relay, writable } = setup()
    const reader = await sit()
    void reader.follow()
    store.isDown = true
    const refused = writable()
    const answer = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, refused.stream)
    refused.write(0, 10)
    await expect(answer).rejects.toThrow('away')
    expect(reader.seen.bytes).toBe(0)
    store.isDown = false
    const body = writable()
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, body.stream)
    await soon()
    expect(store.job.note).not.toBeNull()
    store.isDown = true
    body.write(0, 10)
    await soon()
    expect([reader.seen.bytes, store.appends]).toEqual([10, 0])
    store.isDown = false
    await soon(2_000)
    expect(store.job.bytes.byteLength).toBe(10)
  })

  test('behavior: after a second without output another attempt may begin, until the first bytes are stored', async () => {
    const { store, sit, relay, writable } = setup()
    const reader = await sit()
    void reader.follow()
    const body = writable()
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, body.stream)
    await soon(999)
    expect(store.job.note).not.toBeNull()
    await soon(1)
    expect(store.job.note).toBeNull()
    store.isDown = true
    body.write(0, 10)
    await soon(3_000)
    expect(reader.seen.bytes).toBe(0)
    store.isDown = false
    await soon(1_000)
    expect(reader.seen.bytes).toBe(10)
    // They need not wait for that.
    store.isDown = true
    body.write(10, 20)
    await soon()
    expect(reader.seen.bytes).toBe(20)
  })

  test.for(['ends', 'breaks off'])(
    'behavior: an upload that %s without output lets another attempt begin',
    async how => {
      const { store, relay, onIdle } = setup({ unreadMs: null })
      const { stream, write } = writableBody()
      const answer = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, stream)
      await soon()
      expect(store.job.note).not.toBeNull()
      write(how)
      expect(await answer).toEqual({ stale: false, have: 0, stop: false })
      expect(store.job.note).toBeNull()
      await soon(5_000)
      expect(onIdle).toHaveBeenCalled()
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  test('behavior: with output none may, after a second either, and however the upload ends', async () => {
    const { store, relay } = setup()
    const { stream, write } = writableBody()
    const answer = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, stream)
    await soon(900)
    write('says something')
    await soon(500)
    expect([store.job.note === null, store.job.bytes.byteLength]).toEqual([false, 0])
    store.isDown = true
    write('breaks off')
    await expect(answer).rejects.toThrow('away')
    expect([store.job.note === null, store.job.bytes.byteLength]).toEqual([false, 0])
  })

  test('behavior: an upload that follows another at once keeps other attempts out, whatever the first one takes back', async () => {
    const { store, sit, relay } = setup()
    const reader = await sit()
    void reader.follow()
    const first = writableBody()
    const second = writableBody()
    const upload = { runner: 'r', id: 'j', attempt: 1, from: 0 }
    const broken = relay.write(upload, first.stream)
    await soon()
    const { promise, resolve } = Promise.withResolvers<void>()
    store.opening = promise
    void relay.write(upload, second.stream)
    await soon()
    first.write('breaks off')
    await broken
    resolve()
    await soon()
    second.write('says something')
    await soon()
    expect([reader.seen.bytes, store.job.bytes.byteLength, store.job.note]).toEqual([
      10,
      0,
      expect.anything(),
    ])
  })

  test('behavior: an upload of an attempt that is over, or of another runner, changes nothing', async () => {
    const { store, sit, relay } = setup()
    store.job.attempt = 2
    const reader = await sit()
    void reader.follow()
    const body = writableBody()
    void relay.write({ runner: 'r', id: 'j', attempt: 2, from: 0 }, body.stream)
    await soon()
    const late = await relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, writableBody().stream)
    expect(late).toEqual({ stale: true })
    body.write('says something')
    await soon()
    expect([reader.seen.bytes, store.appends]).toEqual([10, 0])
  })

  test('behavior: what another relay has noted stays, whoever asks or uploads later', async () => {
    const { store, relay, upload, ask } = setup()
    store.job.note = { relay: 'one that is gone', turn: 1 }
    expect(await ask()).toMatchObject({ have: 0 })
    expect(await upload(0)).toMatchObject({ have: 0 })
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, writableBody().stream)
    await soon(5_000)
    expect(store.job.note).toEqual({ relay: 'one that is gone', turn: 1 })
  })

  test('behavior: what another relay has noted may be taken back by it at any time: bytes are stored first', async () => {
    const { store, sit, relay } = setup()
    const reader = await sit()
    void reader.follow()
    store.job.note = { relay: 'one that is gone', turn: 1 }
    const body = writableBody()
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, body.stream)
    await soon()
    store.isDown = true
    body.write('says something')
    await soon()
    expect(reader.seen.bytes).toBe(0)
  })

  test('behavior: a note of which nobody knows whether it was made is taken back', async () => {
    const { store, relay } = setup()
    store.opening = Promise.reject(new Error('The answer is lost'))
    store.opening.catch(() => undefined)
    const answer = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, writableBody().stream)
    await expect(answer).rejects.toThrow('The answer is lost')
    await soon()
    expect(store.job.note).toBeNull()
  })

  test('behavior: a first frame says at once where a reading begins', async () => {
    const { sit, upload } = setup()
    const first = await sit()
    expect(await first.take()).toEqual({ offset: 0, bytes: new Uint8Array(0) })
    void first.follow()
    await upload(300 * kibibyte)
    await first.leave()
    const late = await sit({ from: 5 })
    expect(await late.take()).toEqual({ offset: 300 * kibibyte, bytes: new Uint8Array(0) })
  })

  test('behavior: nothing of an attempt that stored nothing', async () => {
    const { store, sit, upload, relay } = setup()
    const reader = await sit()
    store.isDown = true
    await expect(upload(100)).rejects.toThrow()
    store.isDown = false
    store.job.attempt = 2
    expect(await upload(7, { attempt: 2 })).toEqual({ stale: false, have: 7, stop: false })
    void reader.follow()
    await soon(5_000)
    expect(reader.seen.bytes).toBe(7)
    expect(store.job.bytes.byteLength).toBe(7)
    expect(await upload(9, { attempt: 1 })).toEqual({ stale: true })
    await relay.leave({ key: reader.key, isFirst: false, hasSat: true, isOver: true, unreadMs: 1_000 })
    expect(vi.getTimerCount()).toBe(0)
  })

  test('behavior: 64 readers, of whom one may come again, and not one more', async () => {
    const { sit } = setup()
    for (let count = 0; count < limits.streamReaders; count += 1) await sit({ key: `r${count}` })
    expect((await sit()).isCrowded).toBe(true)
    expect((await sit({ key: 'r7' })).isCrowded).toBe(false)
  })
})

describe('back-pressure', () => {
  test('behavior: a reader that takes nothing holds the writer back', async () => {
    const { sit, relay, body } = setup()
    await sit()
    const { made, stream } = body(0, 16 * cap)
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, stream)
    await soon(60_000)
    expect(made.bytes).toBeLessThanOrEqual(room)
  })

  test('behavior: a slow reader is not waited for below the cap, and held to above it', async () => {
    const { store, sit, relay, body } = setup()
    const slow = await sit()
    await slow.take()
    const fast = await sit()
    void fast.follow()
    const { made, stream } = body(0, 16 * cap)
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, stream)
    await soon(60_000)
    expect(store.job.bytes.byteLength).toBe(cap)
    expect(made.bytes).toBeGreaterThan(cap)
    expect(made.bytes).toBeLessThanOrEqual(cap + room)
    const frame = await slow.take()
    expect(frame?.offset).toBeLessThanOrEqual(cap)
    void slow.follow()
    await soon(60_000)
    expect(made.bytes).toBe(16 * cap)
    expect(fast.seen.bytes).toBe(16 * cap)
  })

  test('behavior: of a body, 32 MiB are taken', async () => {
    const { upload } = setup({ unreadMs: null })
    const answer = upload(limits.streamPartBytes + 100 * kibibyte)
    await soon(10_000)
    expect(await answer).toEqual({ stale: false, have: limits.streamPartBytes, stop: false })
  })

  test('behavior: one chunk may have 64 MiB', async () => {
    const { relay, sit } = setup({ storedBytes: 128 * cap })
    const reader = await sit()
    void reader.follow()
    const chunk = new Uint8Array(64 * cap)
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(chunk)
        controller.close()
      },
    })
    const written = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, stream)
    expect(await written).toEqual({ stale: false, have: limits.streamPartBytes, stop: false })
    await soon()
    expect(reader.seen.bytes).toBe(limits.streamPartBytes)
  })
})

describe('beyond the cap', () => {
  test('behavior: `have` is what has been passed on, and an upload waits for that', async () => {
    const { sit, upload } = setup()
    const reader = await sit()
    await reader.take()
    let answer: unknown = null
    void upload(cap + 100).then(written => {
      answer = written
    })
    while (reader.seen.bytes < cap) await reader.take()
    await soon(1_000)
    expect(answer).toBe(null)
    await reader.take()
    await soon()
    expect(answer).toEqual({ stale: false, have: cap + 100, stop: false })
  })

  test('behavior: a reader that takes nothing keeps it with the runner', async () => {
    const { sit, upload } = setup()
    const reader = await sit()
    const answer = upload(cap + 100)
    while (reader.seen.bytes < cap) await reader.take()
    await soon(limits.streamPartMs)
    expect(await answer).toEqual({ stale: false, have: cap, stop: false })
  })

  test('behavior: of a job that runs on for itself nothing is kept, whether anybody has ever read it or not', async () => {
    for (const hasReader of [true, false]) {
      const { sit, upload } = setup({ unreadMs: null })
      const reader = hasReader ? await sit() : null
      await reader?.leave()
      const answer = upload(8 * cap)
      await soon(10_000)
      expect(await answer).toEqual({ stale: false, have: 8 * cap, stop: false })
    }
  })

  test('behavior: what a relay that is gone has passed on is a gap', async () => {
    const { store, sit, upload } = setup()
    store.job.bytes = contentOf(0, cap)
    const reader = await sit({ from: cap + 5 })
    await reader.take()
    const taken = reader.take()
    const answer = upload(10, { from: cap + 50 })
    expect(await taken).toEqual({ offset: cap + 50, bytes: new Uint8Array(0) })
    expect(await reader.take()).toEqual({ offset: cap + 50, bytes: contentOf(cap + 50, cap + 60) })
    // It has others called, who may have read less.
    await soon(1_500)
    expect(await answer).toEqual({ stale: false, have: cap + 60, stop: false })
  })
})

describe('uploads', () => {
  test('behavior: an append whose answer is lost costs neither bytes nor the lease', async () => {
    const { store, sit, upload } = setup()
    const reader = await sit()
    void reader.follow()
    await upload(10)
    store.losesAnswer = true
    const answer = upload(90, { from: 10 })
    await expect(answer).rejects.toThrow('The answer is lost')
    expect(await upload(95, { from: 10 })).toEqual({ stale: false, have: 105, stop: false })
    expect(store.job.bytes.equals(contentOf(0, 105))).toBe(true)
    expect(reader.seen.bytes).toBe(105)
  })

  test('behavior: one that begins beyond what is there is answered at once', async () => {
    const { upload } = setup()
    await upload(10)
    const never = new ReadableStream<Uint8Array>()
    expect(await upload(5, { from: 20 })).toEqual({ stale: false, have: 10, stop: false })
    const { relay } = setup()
    expect(await relay.write({ runner: 'r', id: 'j', attempt: 1, from: 1 }, never)).toEqual({
      stale: false,
      have: 0,
      stop: false,
    })
  })

  test('behavior: of two at once the later goes on', async () => {
    const { relay, upload } = setup()
    const never = new ReadableStream<Uint8Array>()
    const first = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, never)
    await soon()
    expect(await upload(3)).toEqual({ stale: false, have: 3, stop: false })
    expect(await first).toMatchObject({ stale: false, stop: false })
  })

  test('behavior: one of an attempt that is over is told so when the next one uploads', async () => {
    const { relay, store, upload } = setup()
    const never = new ReadableStream<Uint8Array>()
    const first = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, never)
    await soon()
    store.job.attempt = 2
    expect(await upload(3, { attempt: 2 })).toEqual({ stale: false, have: 3, stop: false })
    expect(await first).toEqual({ stale: true })
  })

  test('behavior: what is small is stored after a second, however slowly it comes', async () => {
    const { store, relay, writable } = setup()
    const slow = writable()
    void relay.write({ runner: 'r', id: 'j', attempt: 1, from: 0 }, slow.stream)
    for (let at = 0; at < 20; at += 1) {
      slow.write(at, at + 1)
      await soon(100)
    }
    expect(store.job.bytes.byteLength).toBeGreaterThanOrEqual(10)
    expect(store.appends).toBeLessThanOrEqual(4)
  })

  test('behavior: while the database is away little is taken, and nothing lost', async () => {
    const { store, sit, upload, relay, body } = setup({ storedBytes: 16 * cap })
    const reader = await sit()
    void reader.follow()
    await upload(10)
    store.isDown = true
    const { made, stream } = body(10, 8 * cap)
    const away = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 10 }, stream)
    await expect(away).rejects.toThrow('away')
    expect(made.bytes).toBe(0)
    store.isDown = false
    const open = relay.write({ runner: 'r', id: 'j', attempt: 1, from: 10 }, stream)
    open.catch(() => undefined)
    store.isDown = true
    await expect(open).rejects.toThrow('away')
    expect(made.bytes).toBeLessThanOrEqual(room)
    store.isDown = false
    expect(await upload(8 * cap, { from: 10 })).toMatchObject({ have: 8 * cap + 10 })
    expect(reader.seen.bytes).toBe(8 * cap + 10)
  })
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
