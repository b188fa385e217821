import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { JobRow } from '../../src/edge/jobs/read.ts'
import { chatEvents } from '../../src/edge/routes/chat-events.ts'
import { events } from '../../src/edge/routes/job-events.ts'
import { createStreamBody } from '../../src/edge/routes/stream-body.ts'
import { fromWire, toWire } from '../../src/edge/stream/frames.ts'
import type { Frame } from '../../src/edge/stream/readers.ts'
import type { Piece } from '../../src/edge/stream/stored.ts'
import { createText } from '../../src/edge/stream/text.ts'
import { createWholeEvents } from '../../src/edge/stream/whole-events.ts'
import { createWindow } from '../../src/edge/stream/window.ts'
import { eventsOf } from '../support/stream.ts'

/** Bytes with characters of each length, and such as are none, cut anywhere. */
const output = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }).map(text => Buffer.from(text)),
      fc.constantFrom('€', '🦊', 'ß', '\ufeff', '\u0000').map(text => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }).map(bytes => Buffer.from(bytes)),
    ),
    { maxLength: 20 },
  )
  .map(pieces => Buffer.concat(pieces))
const cut = fc
  .tuple(output, fc.array(fc.nat(12), { maxLength: 40 }))
  .map(([bytes, sizes]) => cutAt(bytes, sizes))

const bytesOf = (said: string | Uint8Array | null) => Buffer.from(said ?? '')

describe('text', () => {
  test('behavior: however it is cut, nothing is lost, and what is text stays text', () => {
    fc.assert(
      fc.property(cut, ({ bytes, pieces }) => {
        const text = createText()
        const said = pieces.map(piece => text.push(piece))
        expect(Buffer.concat([...said, text.end()].map(bytesOf)).equals(bytes)).toBe(true)
        if (Buffer.from(bytes.toString()).equals(bytes))
          expect(said.every(piece => piece === null || typeof piece === 'string')).toBe(true)
      }),
    )
  })

  test('behavior: no more than the beginning of a character is kept back', () => {
    const text = createText()
    expect(text.push(Buffer.from('a€').subarray(0, 3))).toBe('a')
    expect(text.held()).toBe(2)
    expect(text.push(Buffer.from('€').subarray(2))).toBe('€')
    expect(text.held()).toBe(0)
    expect(text.push(Buffer.from([0xf0, 0x9f]))).toBe(null)
    expect(text.push(Buffer.from('a'))).toEqual(Uint8Array.of(0xf0, 0x9f, 0x61))
    expect(text.push(Buffer.from('b'))).toBe('b')
  })
})

describe('whole events', () => {
  const maxBytes = 12
  const sent = fc
    .tuple(
      fc.array(fc.constantFrom('data: {}', ': comment', 'a', 'data', '\n', '\r\n', '\r', '\n\n'), {
        maxLength: 30,
      }),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }),
    )
    .map(([parts, sizes]) => cutAt(Buffer.from(parts.join('')), sizes))
  const isEnd = (text: string) =>
    /^$|(\r\n|\n|\r(?!\n))(\r\n|\n|\r)$/.test(text) || /^(\r\n|\n|\r)$/.test(text)

  test('behavior: however it is cut, nothing is lost, and what is handed on ends with an event that has ended', () => {
    fc.assert(
      fc.property(sent, ({ bytes, pieces }) => {
        const whole = createWholeEvents({ maxBytes })
        let came = ''
        let said = ''
        for (const piece of pieces) {
          came += piece.toString()
          const before = said
          said += bytesOf(whole.push(piece)).toString()
          expect(came.startsWith(said)).toBe(true)
          expect(whole.isBetween()).toBe(isEnd(said))
          // An event that has ended is never kept.
          const kept = came.slice(said.length)
          expect(kept.length).toBeLessThanOrEqual(maxBytes)
          for (let at = 1; at <= kept.length; at += 1)
            expect(isEnd(came.slice(0, said.length + at))).toBe(false)
          if (!whole.isBetween() && isEnd(before))
            expect(came.length - before.length).toBeGreaterThan(maxBytes)
        }
        expect(said + bytesOf(whole.end()).toString()).toBe(bytes.toString())
      }),
      { numRuns: 1_000 },
    )
  })

  test('behavior: what comes whole is not copied', () => {
    const whole = createWholeEvents({ maxBytes })
    const event = Buffer.from('data: {"a":"long one"}\n\n')
    expect(whole.push(event)?.buffer).toBe(event.buffer)
  })
})

describe('events', () => {
  async function said(pieces: Piece[]) {
    async function* all() {
      yield* pieces
    }
    let text = ''
    for await (const piece of events(all(), { id: 'j', container: 'c' })) text += piece
    return eventsOf(text)
  }

  test('behavior: every id is where a reader that comes back goes on', async () => {
    await fc.assert(
      fc.asyncProperty(cut, fc.nat(60), async ({ bytes, pieces }, index) => {
        let end = 0
        const times = { created_at: 0, expires_at: 0, claimed_at: 0, started_at: 0, finished_at: 0 }
        const stream = { stream_bytes: bytes.byteLength, destination: 2, images: null }
        const row = { state: 'success', route: 'c', error_code: null, ...times, ...stream } as JobRow
        const told = await said([
          ...pieces.map((piece): Piece => {
            end += piece.byteLength
            return { kind: 'output', bytes: piece, end }
          }),
          { kind: 'ended', row },
        ])
        const outputs = told.filter(({ event }) => event === 'output')
        const seen = outputs.slice(0, index % (outputs.length + 1))
        const from = Number(seen.at(-1)?.id ?? 0)
        const whole = Buffer.concat(
          seen.map(({ data }) =>
            typeof data.text === 'string'
              ? Buffer.from(data.text)
              : Buffer.from(String(data.base64), 'base64'),
          ),
        )
        expect(whole.equals(bytes.subarray(0, from))).toBe(true)
        if (seen.length === outputs.length) expect(from).toBe(bytes.byteLength)
        expect(told.at(-1)).toMatchObject({ event: 'completed', id: 'end' })
      }),
    )
  })

  test('behavior: what could not be given has an error, and no id', async () => {
    expect(await said([{ kind: 'gone', why: 'passed' }])).toEqual([
      { event: 'start', id: null, data: { id: 'j', container: 'c' } },
      {
        event: 'error',
        id: null,
        data: {
          code: 'output_gone',
          error: 'The output from here on is not kept, and has passed',
          job: null,
        },
      },
    ])
  })
})

describe('events of a chat', () => {
  const outputs = (...texts: string[]) =>
    texts.map((text): Piece => ({ kind: 'output', bytes: Buffer.from(text), end: 0 }))
  async function said([first, ...rest]: readonly Piece[]): Promise<string> {
    async function* all() {
      yield* rest
    }
    if (!first) return ''
    let text = ''
    for await (const piece of chatEvents(first, all()).text) text += bytesOf(piece)
    return text
  }
  const lost: Piece = { kind: 'gone', why: 'lost' }
  const error = {
    message: 'The rest of the output is lost',
    type: 'server_error',
    param: null,
    code: 'output_gone',
  }
  const told = `data: ${JSON.stringify({ error })}\n\n`
  const long = `data: {"a":"${'x'.repeat(300_000)}`

  test('default: a success is what the container says, finished or not', async () => {
    const row = { state: 'success' } as JobRow
    const pieces = outputs('data: {}\n', '\ndata: {"usage":{}}\n\ndata: [DO', 'NE]\n\nda', 'ta')
    expect(await said([...pieces, { kind: 'ended', row }])).toBe(
      'data: {}\n\ndata: {"usage":{}}\n\ndata: [DONE]\n\ndata',
    )
  })

  test.each([
    ['after a whole one', ['data: {}\n\n'], 'data: {}\n\n'],
    ['in place of an unfinished one', ['data: {}\n\nda', 'ta: {'], 'data: {}\n\n'],
    ['after one that is too long to be kept back, which it ends', [long, 'x'], `${long}x\n\n`],
  ])('behavior: an error comes %s', async (_where, texts, before) => {
    expect(await said([...outputs(...texts), lost])).toBe(before + told)
  })
})

describe('frames over a connection', () => {
  test('behavior: however the connection cuts them, what comes is what went', async () => {
    const frames = fc.array(
      fc.record({ offset: fc.nat(2 ** 31).map(at => at * 1024), bytes: fc.uint8Array({ maxLength: 30 }) }),
      { maxLength: 10 },
    )
    await fc.assert(
      fc.asyncProperty(frames, fc.integer({ min: 1, max: 20 }), async (sent, size) => {
        const wired = Buffer.concat(await collect(toWire(streamOf<Frame>(sent))))
        const chunks: Uint8Array[] = []
        for (let at = 0; at < wired.byteLength; at += size)
          chunks.push(new Uint8Array(wired.subarray(at, at + size)))
        const got = await collect(fromWire(streamOf(chunks)))
        expect(merge(got)).toEqual(merge(sent))
      }),
    )
  })

  /** By place: each byte with its offset, and the offsets of frames without any. */
  function merge(frames: readonly Frame[]): unknown[] {
    return frames.flatMap(({ offset, bytes }): unknown[] =>
      bytes.byteLength === 0 ? [offset] : [...bytes].map((byte, at) => [offset + at, byte]),
    )
  }

  test('behavior: nothing is read ahead, and a reader that leaves is heard', async () => {
    const pull = vi.fn()
    const cancel = vi.fn()
    const frames = new ReadableStream<Frame>({ pull, cancel }, { highWaterMark: 0 })
    const got = fromWire(toWire(frames))
    await Promise.resolve()
    expect(pull).not.toHaveBeenCalled()
    await got.cancel('left')
    expect(cancel).toHaveBeenCalledTimes(1)
  })
})

describe('window', () => {
  test('behavior: it gives what it was given, and nothing that it does not hold', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 9 }), fc.nat(100)), {
          maxLength: 30,
        }),
        steps => {
          const window = createWindow()
          for (const [back, bytes, percent] of steps) {
            const from = Math.max(0, window.end() + back)
            const isNew = from <= window.end() && from + bytes > window.end()
            const piece = Uint8Array.from({ length: bytes }, (_, at) => from + at)
            expect(window.add(from, piece)).toBe(isNew)
            window.drop(window.base() + Math.floor((window.size() * percent) / 400))
            const held = window.slice(window.base(), window.end())
            expect([...held]).toEqual(
              Array.from({ length: window.size() }, (_, at) => (window.base() + at) & 255),
            )
            expect(() => window.slice(window.base() - 1, window.end())).toThrow()
            expect(() => window.slice(window.base(), window.end() + 1)).toThrow()
          }
        },
      ),
    )
  })
})

describe('body', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function setup({ commentMs = null as number | null, isBetween = () => true } = {}) {
    let give: (value: string) => void = () => {}
    const ended = vi.fn()
    async function* pieces() {
      try {
        yield 'first'
        for (;;)
          yield await new Promise<string>(resolve => {
            give = resolve
          })
      } finally {
        ended()
      }
    }
    const onCancel = vi.fn(() => give(''))
    const options = { onCancel, onEnd: vi.fn(), onError: vi.fn(), commentMs, isBetween }
    const source = createStreamBody(pieces(), options).getReader()
    const read = async () => Buffer.from((await source.read()).value ?? '').toString()
    return { ...options, ended, source, read, give: (value: string) => give(value) }
  }

  test('default: a comment after each 15 s of silence, and what comes then', async () => {
    const { read, give, source } = setup({ commentMs: 15_000 })
    expect(await read()).toBe('first')
    const next = read()
    await vi.advanceTimersByTimeAsync(14_999)
    give('second')
    expect(await next).toBe('second')
    for (let count = 0; count < 3; count += 1) {
      const silent = read()
      await vi.advanceTimersByTimeAsync(15_000)
      expect(await silent).toBe(':\n\n')
    }
    give('third')
    expect(await read()).toBe('third')
    await source.cancel()
    expect(vi.getTimerCount()).toBe(0)
  })

  test.each([
    ['that is kept back', ''],
    ['that is longer than is kept back', 'x'.repeat(300_000)],
  ])('behavior: no comment comes in the middle of a chat’s event %s', async (_which, more) => {
    const begun = `data: {"a":"${more}`
    let go: () => void = () => {}
    const rest = (async function* (): AsyncGenerator<Piece> {
      await new Promise<void>(resolve => {
        go = resolve
      })
      yield { kind: 'output', bytes: Buffer.from('b"}\n\n'), end: 0 }
    })()
    const chat = chatEvents({ kind: 'output', bytes: Buffer.from(begun), end: 0 }, rest)
    const { isBetween } = chat
    const options = { onCancel() {}, onEnd() {}, onError() {}, commentMs: 15_000, isBetween }
    const all = collect(createStreamBody(chat.text, options))
    await vi.advanceTimersByTimeAsync(31_000)
    go()
    const text = Buffer.concat(await all).toString()
    const comments = more === '' ? ':\n\n:\n\n' : ''
    expect(text).toBe(`${comments}${begun}b"}\n\n`)
  })

  test('behavior: a client that leaves ends what makes the pieces', async () => {
    const { read, source, onCancel, onError, ended } = setup()
    await read()
    void source.read()
    await source.cancel()
    expect(onCancel).toHaveBeenCalledTimes(1)
    expect(ended).toHaveBeenCalledTimes(1)
    expect(onError).not.toHaveBeenCalled()
  })

  test('behavior: what fails breaks it off', async () => {
    const [onEnd, onError] = [vi.fn(), vi.fn()]
    async function* pieces() {
      yield 'first'
      throw new Error('lost')
    }
    const options = { onCancel() {}, onEnd, onError, commentMs: null, isBetween: () => true }
    const source = createStreamBody(pieces(), options).getReader()
    await source.read()
    await expect(source.read()).rejects.toThrow('lost')
    expect([onEnd.mock.calls.length, onError.mock.calls.length]).toEqual([1, 1])
  })
})

function cutAt(bytes: Buffer, sizes: readonly number[]): { bytes: Buffer; pieces: Buffer[] } {
  const pieces: Buffer[] = []
  let at = 0
  for (const size of [...sizes, bytes.byteLength]) {
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return { bytes, pieces }
}

function streamOf<Value>(values: readonly Value[]): ReadableStream<Value> {
  return new ReadableStream<Value>({
    start(controller) {
      for (const value of values) controller.enqueue(value)
      controller.close()
    },
  })
}

async function collect<Value>(stream: ReadableStream<Value>): Promise<Value[]> {
  const all: Value[] = []
  const source = stream.getReader()
  for (;;) {
    const { done, value } = await source.read()
    if (done) return all
    all.push(value)
  }
}
