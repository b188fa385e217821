import { getEventListeners } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { type MortalEdge, startMortalEdge } from '../support/mortal-edge.ts'
import { streamed } from '../support/stream.ts'

/** Clients that leave at any moment, in the process of the edge, so that a test can choose it. */

let edge: MortalEdge

beforeAll(async () => {
  edge = await startMortalEdge({ returnMs: 5_000 })
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
})
// What a test that failed has left in the queue is nobody else's.
beforeEach(async () => void (await edge.db.orm.run('delete from jobs')))

/** A request whose client leaves when it is told to. As on a server, its answer's body is cancelled then. */
function ask(path: string, init: RequestInit = {}) {
  const leaving = new AbortController()
  const request = new Request(`http://edge${path}`, { ...init, signal: leaving.signal })
  const answer = Promise.resolve(edge.app.fetch(request))
  return {
    request,
    answer,
    async leave() {
      leaving.abort()
      await (await answer).body?.cancel()
    },
  }
}

/** A client that makes a job, and reads it. */
function make() {
  const body = JSON.stringify({ containers: ['echo'], data: {} })
  return ask('/api/jobs/stream', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
}

/** So many read as may. @returns how they leave. */
async function crowd(id: string): Promise<() => Promise<void>> {
  const relay = edge.mortal.relays(id)
  // One has made the job.
  const keys = Array.from({ length: limits.streamReaders - 1 }, (_, seat) => `seat ${seat}`)
  for (const key of keys) await relay.read({ key, from: 0, mayFollow: false, unreadMs: 1_000 })
  return async () => {
    for (const key of keys)
      await relay.leave({ key, isFirst: false, hasSat: true, isOver: false, unreadMs: 1_000 })
  }
}

const stateOf = async (id: string) => (await edge.streams.read(id)).state

test('behavior: a client that has left before it could be answered is nobody who reads', async () => {
  const { client, job, upload } = await edge.streams.begin({ first: 'one ' })
  await ask(`/api/jobs/${job.id}/stream`).leave()
  client.leave()
  await expect.poll(() => stateOf(job.id), { timeout: 5_000 }).toBe('cancelled')
  expect((await upload.answer).body.stop).toBe(true)
  await expect.poll(() => edge.mortal.count()).toBe(0)
})

test('behavior: the job of a client that leaves while it is being stored ends before a runner takes it', async () => {
  const stored = edge.proxy.holdAnswer(/insert into .?jobs/i)
  const { leave } = make()
  await stored.reached
  const left = leave()
  stored.release()
  await left
  const states = () => edge.db.orm.all("select state from jobs where state in ('queued', 'running')")
  await expect.poll(states, { timeout: 5_000 }).toEqual([])
  await expect.poll(() => edge.mortal.count()).toBe(0)
})

const mistaken: [string, (id: string) => Promise<void>][] = [
  [
    'for whom there is no room',
    async id => {
      const leave = await crowd(id)
      expect((await ask(`/api/jobs/${id}/stream`).answer).status).toBe(429)
      await leave()
    },
  ],
  [
    'that claims to have had more than there is',
    async id => await (await ask(`/api/jobs/${id}/stream?from=1000`).answer).body?.cancel(),
  ],
]
test.for(mistaken)('behavior: a client %s hides no other one’s leaving', async ([, come]) => {
  const { client, job, upload } = await edge.streams.begin({ first: 'one ' })
  await come(job.id)
  client.leave()
  await expect.poll(() => stateOf(job.id), { timeout: 5_000 }).toBe('cancelled')
  expect((await upload.answer).body.stop).toBe(true)
})

test('behavior: a chat that comes back to its job, and finds no room, is told when to ask again', async () => {
  const init = {
    method: 'POST',
    headers: { 'idempotency-key': 'crowded' },
    body: '{"model":"chat","stream":true,"messages":[]}',
  }
  const first = ask('/v1/chat/completions', init)
  const job = await edge.streams.claim()
  const upload = await edge.streams.upload(job)
  upload.write('data: {}\n\n')
  await first.answer
  const leave = await crowd(job.id)
  const answer = await ask('/v1/chat/completions', init).answer
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '5'])
  expect(await answer.json()).toMatchObject({ error: { code: 'too_many_readers' } })
  await Promise.all([first.leave(), leave()])
})

test('behavior: who comes and goes after a relay has died costs a client nothing that stands still', async () => {
  const held = (await make().answer).body?.getReader()
  const read = async () => Buffer.from((await held?.read())?.value ?? '').toString()
  const [, first] = [await read(), read()]
  const job = await edge.streams.claim()
  const upload = await edge.streams.upload(job)
  upload.write('one ')
  expect(await first).toBe('one ')
  edge.mortal.kill()
  const before = edge.mortal.sat()
  await (await ask(`/api/jobs/${job.id}/stream`).answer).body?.cancel()
  // Not one byte more was asked for.
  await expect.poll(() => edge.mortal.sat(), { timeout: 3_000 }).toBe(before + 2)
  const next = await edge.streams.upload(job)
  next.write('one two ')
  expect(await read()).toBe('two ')
  expect(await next.end()).toEqual({ status: 200, body: { have: 8, stop: false } })
  await held?.cancel()
})

describe('whoever listens for a client to leave', () => {
  const listeners = ({ signal }: Request) => getEventListeners(signal, 'abort').length
  const chat = () =>
    ask('/v1/chat/completions', { method: 'POST', body: '{"model":"chat","stream":true,"messages":[]}' })

  const ends: [string, () => Promise<{ request: Request; answer: Promise<Response> }>][] = [
    [
      'a stream that ends while it is read',
      async () => {
        const { client, job, upload } = await edge.streams.begin({ first: 'one ' })
        const asked = ask(`/api/jobs/${job.id}/stream`)
        await asked.answer
        await upload.end()
        await edge.runner.report([streamed(job, { bytes: 4 })])
        await client.ended
        return asked
      },
    ],
    [
      'one that has ended before',
      async () => ask(`/api/jobs/${(await edge.streams.say('one '))?.id}/stream`),
    ],
    [
      'one that has no room',
      async () => {
        const { client, job } = await edge.streams.begin({ first: 'one ' })
        await crowd(job.id)
        const asked = ask(`/api/jobs/${job.id}/stream`)
        expect((await asked.answer).status).toBe(429)
        client.leave()
        return asked
      },
    ],
    [
      'one whose answer nobody takes',
      async () => {
        const { client, job } = await edge.streams.begin({ first: 'one ' })
        const asked = ask(`/api/jobs/${job.id}/stream`)
        await (await asked.answer).body?.cancel()
        client.leave()
        return asked
      },
    ],
    [
      'a chat that ends while it is read',
      async () => {
        const asked = chat()
        const job = await edge.streams.claim()
        const upload = await edge.streams.upload(job)
        upload.write('data: {}\n\n')
        await asked.answer
        await upload.end()
        await edge.runner.report([streamed(job, { bytes: 10 })])
        return asked
      },
    ],
    [
      'a chat without an answer',
      async () => {
        const asked = chat()
        const job = await edge.streams.claim()
        await edge.runner.report([streamed(job, { bytes: 0, error: { code: 'exited', error: 'It died' } })])
        expect((await asked.answer).status).toBe(502)
        return asked
      },
    ],
  ]

  test.for(ends)('behavior: forgets %s', async ([, play]) => {
    const { request, answer } = await play()
    const response = await answer
    if (!response.bodyUsed) await response.text()
    await expect.poll(() => listeners(request)).toBe(0)
  })
})
