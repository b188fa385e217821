import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import type { InfernetError } from '../../src/client/error.ts'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { openUpload, streamed } from '../support/stream.ts'
import { failure } from './serve.ts'

/** Streams, and what the client does about connections that break. */

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const job = { containers: ['echo'], data: { n: 1 } }
const client = (url = edge.url) => createClient({ url })

async function claim(): Promise<ClaimedJob> {
  const [claimed] = await runner.claim({ wait_ms: 5_000 })
  if (!claimed) throw new Error('Nothing to claim')
  return claimed
}

async function collect<Piece>(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  const all: Piece[] = []
  for await (const piece of pieces) all.push(piece)
  return all
}

/** Answers a stream piece by piece, and ends it. */
async function answer(claimed: ClaimedJob, pieces: readonly (string | Uint8Array)[]): Promise<void> {
  const upload = await openUpload(runner, edge, { ...claimed, from: 0 })
  for (const piece of pieces) upload.write(piece)
  const { body } = await upload.end()
  await runner.report([streamed(claimed, { bytes: body.have })])
}

/** A proxy that breaks each connection off after so many bytes of an answer. */
async function startCuttingProxy(bytesEach: number) {
  let connections = 0
  const server = createServer((incoming, outgoing) => {
    connections += 1
    const target = new URL(incoming.url ?? '/', edge.url)
    const onward = httpRequest(target, { method: incoming.method, headers: incoming.headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      let left = bytesEach
      answer.on('data', (piece: Buffer) => {
        outgoing.write(piece.subarray(0, left))
        left -= piece.length
        if (left > 0) return
        outgoing.socket?.destroySoon()
        onward.destroy()
      })
      answer.on('end', () => outgoing.end())
      answer.on('error', () => outgoing.destroy())
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

test('default: text as it comes', async () => {
  const stream = client().stream(job)
  const reading = stream[Symbol.asyncIterator]()
  const first = reading.next()
  const claimed = await claim()
  expect(await stream.id).toBe(claimed.id)
  const upload = await openUpload(runner, edge, { ...claimed, from: 0 })
  upload.write('Guten ')
  expect(await first).toEqual({ done: false, value: 'Guten ' })
  upload.write('Tag')
  expect(await reading.next()).toEqual({ done: false, value: 'Tag' })
  await upload.end()
  await runner.report([streamed(claimed, { bytes: 9 })])
  expect(await reading.next()).toEqual({ done: true, value: undefined })
  expect(await stream.job).toMatchObject({ id: claimed.id, state: 'success', stream: { bytes: 9 } })
})

test('behavior: bytes that are no text', async () => {
  const stream = client().stream(job)
  const bytes = collect(stream.bytes())
  await answer(await claim(), [Uint8Array.of(0, 255, 1)])
  expect(Buffer.concat(await bytes)).toEqual(Buffer.from([0, 255, 1]))
})

test('behavior: it goes on after connections that break', async () => {
  const text = Array.from({ length: 20_000 }, (_, n) => `${n} äöü€ `).join('')
  await using proxy = await startCuttingProxy(60_000)
  const reading = collect(client(proxy.url).stream(job))
  await answer(await claim(), text.match(/.{1,4000}/gsu) ?? [])
  expect((await reading).join('')).toBe(text)
  expect(proxy.connections()).toBeGreaterThan(2)
})

test('behavior: leaving the loop cancels the job', async () => {
  const stream = client().stream(job)
  const claiming = claim().then(async claimed => {
    const upload = await openUpload(runner, edge, { ...claimed, from: 0 })
    upload.write('one')
    return claimed
  })
  for await (const text of stream) {
    expect(text).toBe('one')
    break
  }
  expect((await client().getJob((await claiming).id)).state).toBe('cancelled')
})

test('behavior: a stream is read again', async () => {
  const stream = client().stream(job)
  const reading = collect(stream)
  await answer(await claim(), ['once more'])
  await reading
  const again = client().resumeStream(await stream.id, { from: 5 })
  expect((await collect(again)).join('')).toBe('more')
})

test('error: a job that fails', async () => {
  const stream = client().stream(job)
  const reading = collect(stream)
  await runner.report([failure(await claim(), 'It broke')])
  await expect(reading).rejects.toMatchObject({ code: 'container_failed', message: 'It broke' })
  await expect(stream.job).rejects.toMatchObject({ code: 'container_failed' })
})

test('error: a refusal', async () => {
  const reading = collect(client().stream({ ...job, containers: ['nobody'] }))
  await expect(reading).rejects.toMatchObject({ code: 'unsupported_container', status: 422 })
})

test('error: a node that stays away', async () => {
  const away = createClient({ url: 'http://127.0.0.1:9' }).stream(job, { patienceMs: 300 })
  const error = await collect(away).catch((cause: unknown) => cause as InfernetError)
  expect(error).toMatchObject({ code: 'unreachable' })
})

/** A node that answers each request for a stream with these events, and breaks off. */
async function startSaying(events: readonly string[]) {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(events.map(event => `${event}\n\n`).join(''))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const anyId = '5f5b3ac4-3c4a-4d3b-9b43-7f0d1a1c2e11'
const start = `event: start\ndata: {"id":"${anyId}","container":"echo"}`

test('error: a node that answers, and breaks each answer off before it says anything, is not asked for ever', async () => {
  await using node = await startSaying([start])
  const stream = client(node.url).resumeStream(anyId, { patienceMs: 300 })
  await expect(collect(stream)).rejects.toMatchObject({ code: 'unreachable' })
})

test.each([
  ['no base64', 'event: output\nid: 3\ndata: {"base64":"%"}'],
  ['an empty offset', 'event: output\nid:\ndata: {"text":"abc"}'],
  ['an offset that is none', 'event: output\nid: 0x3\ndata: {"text":"abc"}'],
])('error: output with %s is not the protocol', async (_, event) => {
  await using node = await startSaying([start, event])
  const stream = client(node.url).resumeStream(anyId, { patienceMs: 300 })
  await expect(collect(stream)).rejects.toMatchObject({ code: 'bad_answer' })
})

test('behavior: whoever waits for the job of a stream that was left is told so', async () => {
  await using node = await startSaying([start, 'event: output\nid: 3\ndata: {"text":"abc"}'])
  const stream = client(node.url).resumeStream(anyId)
  for await (const text of stream) {
    expect(text).toBe('abc')
    break
  }
  expect(await stream.id).toBe(anyId)
  await expect(stream.job).rejects.toMatchObject({ code: 'cancelled' })
})
