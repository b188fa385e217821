import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { cap, kibibyte, room, setup, soon } from './stream-model/relay.ts'
import { contentOf } from './stream-model/store.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

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
