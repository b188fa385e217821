import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DiskError } from '../../src/runner/disk.ts'
import { createEdge } from '../../src/runner/edge/connect.ts'
import { loadKey } from '../../src/runner/key/load.ts'
import { createSigner } from '../../src/runner/key/signer.ts'
import { createNotice } from '../../src/runner/notice.ts'
import { layoutOf } from '../../src/runner/spool/layout.ts'
import { type Bounds, bounds as usual } from '../../src/runner/stream/bounds.ts'
import { findTape } from '../../src/runner/stream/found.ts'
import type { Tape } from '../../src/runner/stream/tape.ts'
import { createTapes } from '../../src/runner/stream/tapes.ts'
import { uploadTape } from '../../src/runner/stream/upload.ts'
import { createUtf8 } from '../../src/runner/stream/utf8.ts'
import type { StreamFault } from './fake-streams.ts'
import { setup } from './setup.ts'

const bounds: Bounds = {
  ...usual,
  partBytes: 1_000,
  partMs: 50,
  pauseMs: 1,
  pieceBytes: 64,
  aheadBytes: 400,
  marginBytes: 300,
  segmentBytes: 200,
  ringBytes: 100,
  missingMs: 1_000,
}

/** Tapes, and what takes them to an edge, without the rest of a runner. */
async function start({ answerMs = 20_000 }: { answerMs?: number } = {}) {
  const { directory, edge: server, log, logged } = await setup()
  const { id, privateKey } = await loadKey(join(directory, 'runner.key'))
  const signer = createSigner({ id, privateKey, audience: server.url })
  const edge = createEdge({ url: server.url, id, signer, answerMs })
  const layout = layoutOf(directory)
  await mkdir(layout.streams)
  await mkdir(layout.scratch)
  const tapes = createTapes({ layout, found: [], log, bounds })
  const back = createNotice()
  // Nobody waits longer than that.
  const timer = setInterval(back.post, 5)
  onTestFinished(async () => {
    clearInterval(timer)
    await tapes.close()
    await edge.close()
  })
  const told: unknown[] = []
  const trouble = { failed: (error: unknown) => void told.push(error), over: () => {} }
  const { signal } = new AbortController()

  return {
    server,
    tapes,
    layout,
    logged,
    told,
    async begin(): Promise<Tape> {
      const job = server.enqueue({ containers: ['one'], data: '1', destination: 2 })
      Object.assign(job, { attempt: 1, state: 'running' })
      return tapes.begin(job, 'one')
    },
    upload: (tape: Tape) => uploadTape({ edge, tape, bounds, trouble, back, signal }),
    /** Writes as a container's reply is recorded: never too far ahead. */
    async write(tape: Tape, chunks: readonly Uint8Array[]): Promise<void> {
      for (const chunk of chunks) {
        await tape.append(chunk)
        while (tape.ahead() > bounds.aheadBytes) await tape.moved.wait(signal)
      }
      tape.end()
    },
  }
}

describe('upload', () => {
  test('behavior: whatever breaks on the way, the edge gets the same bytes, once', {
    timeout: 60_000,
  }, async () => {
    const { server, tapes, begin, upload, write } = await start({ answerMs: 150 })
    const fault: fc.Arbitrary<{ fault: StreamFault | undefined; forgets: number }> = fc.record({
      fault: fc.option(
        fc.record({
          after: fc.nat({ max: 1_100 }),
          do: fc.constantFrom('drop', 'answer', 'mute', 'hang', 500, 503, 404),
        }) as fc.Arbitrary<StreamFault>,
        { nil: undefined },
      ),
      // A relay that dies loses what it had passed on: of what a runner keeps, no more than that.
      forgets: fc.oneof(fc.constant(0), fc.nat({ max: bounds.marginBytes })),
    })
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 700, size: 'max' })
    const story = fc.record({
      chunks: fc.array(chunk, { maxLength: 20, size: 'max' }),
      faults: fc.array(fault, { maxLength: 12, size: 'max' }),
    })
    await fc.assert(
      fc.asyncProperty(story, async ({ chunks, faults }) => {
        const left = [...faults]
        let acknowledged = 0
        server.streams.state.fault = ({ id }) => {
          const next = left.shift()
          const { have } = server.streams.of(id)
          acknowledged = Math.max(acknowledged, have)
          server.streams.forget(id, Math.max(0, Math.min(have, acknowledged - (next?.forgets ?? 0))))
          return next?.fault
        }
        const tape = await begin()
        const [how] = await Promise.all([upload(tape), write(tape, chunks)])
        expect(how).toBe('whole')
        expect(server.streams.bytes(tape.lease.id).equals(Buffer.concat(chunks))).toBe(true)
        await tapes.remove(tape.lease)
        expect(tapes.bytes()).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test('behavior: whose output a tape has is on the disk before any of it', async () => {
    const { begin } = await start()
    const tape = await begin()
    await tape.append(Buffer.from('a'))
    expect(await findTape(tape.path)).toEqual({
      about: { ...tape.lease, container: 'one' },
      segments: [{ from: 0, bytes: 1 }],
      line: null,
    })
  })

  test('behavior: one whose directory cannot be made takes its first bytes when it can; until then there is nothing to remove', async () => {
    const { begin, layout, logged, tapes } = await start()
    await rmdir(layout.streams)
    await writeFile(layout.streams, 'in the way')
    const [tape, other] = [await begin(), await begin()]
    await expect(tape.append(Buffer.from('says'))).rejects.toThrow(DiskError)
    await rm(layout.streams)
    await tapes.remove(other.lease)
    await tape.append(Buffer.from('says'))
    expect(await findTape(tape.path)).toMatchObject({ about: tape.lease, segments: [{ from: 0, bytes: 4 }] })
    await tapes.remove(tape.lease)
    expect([await readdir(layout.streams), logged]).toEqual([[], []])
  })

  test('behavior: what the edge has leaves the disk, but for what a relay may lose', async () => {
    const { tapes, begin, upload, write } = await start()
    const tape = await begin()
    const chunks = Array.from({ length: 100 }, () => Buffer.alloc(100))
    await Promise.all([upload(tape), write(tape, chunks)])
    expect(tape.bytes()).toBe(10_000)
    expect(tape.from()).toBeGreaterThan(9_000)
    expect(tape.from()).toBeLessThanOrEqual(10_000 - bounds.marginBytes)
    expect(tapes.bytes()).toBe(10_000 - tape.from())
  })

  test('behavior: an edge that is held up by its reader is no trouble; one that cannot be asked is', async () => {
    const { server, begin, upload, write, told } = await start({ answerMs: 500 })
    const faults: (StreamFault | undefined)[] = [
      { after: 10, do: 'hang' },
      undefined,
      { after: 20, do: 'drop' },
    ]
    server.streams.state.fault = () => faults.shift()
    const tape = await begin()
    await Promise.all([upload(tape), write(tape, [Buffer.alloc(2_000)])])
    expect(faults).toEqual([])
    expect(told).toEqual([expect.objectContaining({ cause: expect.objectContaining({ stalled: false }) })])
  })

  test('behavior: an edge that wants what is gone is given a while, and then the stream is given up', async () => {
    const { server, begin, upload, write } = await start()
    const tape = await begin()
    const { uploads } = server.streams.of(tape.lease.id)
    server.streams.state.fault = ({ id }) => {
      if (server.streams.of(id).have > 5_000) server.streams.forget(id, 1_000)
      return undefined
    }
    const chunks = Array.from({ length: 100 }, () => Buffer.alloc(100))
    void write(tape, chunks)
    expect(await upload(tape)).toBe('unwanted')
    // What is gone is asked for, not sent.
    expect(uploads.filter(({ ask }) => ask).length).toBeGreaterThan(3)
  })
})

describe('UTF-8', () => {
  test('default: what it says of a text in pieces is what is so of the whole', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }).map(text => Buffer.from(text)),
      fc.uint8Array({ maxLength: 3 }),
    )
    const text = fc.array(part, { maxLength: 6 }).map(parts => Buffer.concat(parts))
    const cuts = fc.array(fc.nat({ max: 30 }), { maxLength: 5 })
    fc.assert(
      fc.property(text, cuts, (bytes, at) => {
        const utf8 = createUtf8()
        let from = 0
        for (const to of [...at.filter(cut => cut < bytes.length).sort((a, b) => a - b), bytes.length]) {
          utf8.push(bytes.subarray(from, to))
          from = to
        }
        let whole = true
        try {
          new TextDecoder('utf-8', { fatal: true }).decode(bytes)
        } catch {
          whole = false
        }
        expect(utf8.whole()).toBe(whole)
      }),
      { numRuns: 2_000 },
    )
  })
})
