import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createApp } from '../../src/edge/app.ts'
import { createBells } from '../../src/edge/bell/bell.ts'
import { parseConfig, relayOptionsOf } from '../../src/edge/config.ts'
import { createPolicyCache } from '../../src/edge/runners/policy.ts'
import { createBackground } from '../../src/host/background.ts'
import type { Listener } from '../../src/host/listen.ts'
import { listenOnNode } from '../../src/host/node.ts'
import { openDb } from '../../src/host/open.ts'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import { freePort } from '../../src/local/port.ts'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { adminToken, startDatabase, type TestEdge } from '../support/edge.ts'
import { createMortalRelays, type MortalRelays } from '../support/mortal-relays.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { type SqlProxy, startSqlProxy } from '../support/sql-proxy.ts'
import { type Event, eventsOf, streamed, type TestReader, type TestUpload } from '../support/stream.ts'
import { asEvents, createStreams, type Streams } from '../support/streams.ts'

/**
 * Whatever is lost, doubled or late between a client, the edge, its database and a runner, clients get the same bytes. Over sockets; the
 * relays are in this process, so that they can die alone.
 */

let database: LibsqlServer
let proxy: SqlProxy
let mortal: MortalRelays
let listener: Listener
let runner: TestRunner
let streams: Omit<Streams, typeof Symbol.asyncDispose>
let direct: Awaited<ReturnType<typeof openDb>>
const rejections: unknown[] = []
const note = (error: unknown) => void rejections.push(error)

beforeAll(async () => {
  process.on('unhandledRejection', note)
  database = await startDatabase()
  proxy = await startSqlProxy(database.url)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const config = parseConfig({ DATABASE_URL: proxy.url, ADMIN_TOKEN: adminToken, ORIGIN: url })
  const db = await openDb({ url: proxy.url })
  direct = await openDb({ url: database.url })
  const log = { info() {}, warn() {}, error() {} }
  const background = createBackground(log)
  const bells = createBells()
  const now = () => Date.now()
  mortal = createMortalRelays({ db, bells, ...relayOptionsOf(config) })
  const app = createApp({
    config,
    db,
    bells,
    tickers: () => null,
    relays: mortal.relays,
    now,
    policy: createPolicyCache({ db, now }),
    log,
    peer: () => ({ address: '127.0.0.1', loopback: true }),
    background: (_c, work) => background.run(work),
  })
  listener = await listenOnNode({
    hostname: '127.0.0.1',
    port,
    handle: (request, connection) => app.fetch(request, connection),
  })
  const edge = {
    url,
    request: async (path: string, init?: RequestInit) => await fetch(new URL(path, url), init),
  } as TestEdge
  runner = await startTestRunner(edge, [policyOf('echo')])
  streams = createStreams(edge, runner)
})
afterAll(async () => {
  process.off('unhandledRejection', note)
  listener.destroy()
  await proxy.close()
  direct.close()
  await database.close()
})
beforeEach(() => proxy.up())

const alphabet = Buffer.from('a€🦊ß\n"\\')

function contentOf(from: number, to: number): Buffer {
  const bytes = Buffer.allocUnsafe(to - from)
  for (let at = from; at < to; at += 1) bytes[at - from] = alphabet[at % alphabet.byteLength] ?? 0
  return bytes
}

/** A client that comes back as often as it is cut off, as an `EventSource` does. */
type Follower = { bytes: Buffer; last: Event | null; drop(): void; ended: Promise<void> }

function follow(first: TestReader): Follower {
  let reader = first
  let job = ''
  let lastEventId = ''
  const follower: Follower = {
    bytes: Buffer.alloc(0),
    last: null,
    drop: () => reader.leave(),
    ended: read(),
  }
  async function read(): Promise<void> {
    for (;;) {
      await reader.ended
      for (const event of eventsOf(reader.text())) take(event)
      if (follower.last?.event === 'completed' || follower.last?.event === 'error') return
      const headers = { ...asEvents, ...(lastEventId && { 'last-event-id': lastEventId }) }
      reader = await again(async () => await streams.resume(job, { headers }))
    }
  }
  function take(event: Event): void {
    follower.last = event
    if (event.event === 'start') job = String(event.data.id)
    if (event.event === 'output') follower.bytes = Buffer.concat([follower.bytes, bytesOf(event)])
    lastEventId = event.id ?? lastEventId
  }
  return follower
}

function bytesOf({ data }: Event): Buffer {
  return typeof data.text === 'string'
    ? Buffer.from(data.text)
    : Buffer.from(String(data.base64 ?? ''), 'base64')
}

async function again(open: () => Promise<TestReader>): Promise<TestReader> {
  for (;;) {
    const reader = await open().catch(() => null)
    if (reader?.status === 200) return reader
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

type World = {
  job: ClaimedJob
  followers: Follower[]
  upload: TestUpload | null
  at: number
  said: number
  have: number
}

const open = async (world: World, from: number) => {
  world.upload = await streams.upload(world.job, from)
  world.at = from
  void world.upload.answer.then(
    ({ body }) => {
      if (typeof body.have === 'number') world.have = Math.max(world.have, body.have)
    },
    () => undefined,
  )
}

type Step = { name: string; run(world: World): Promise<void> | void }
const step = (name: string, run: Step['run']): fc.Arbitrary<Step> => fc.constant({ name, run })
const soon = () => new Promise(resolve => setTimeout(resolve, 5))

const steps = [
  fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 200_000 })).map<Step>(bytes => ({
    name: `say ${bytes}`,
    async run(world) {
      if (world.upload === null) await open(world, world.have)
      world.upload?.write(contentOf(world.at, world.at + bytes))
      world.at += bytes
      world.said = Math.max(world.said, world.at)
    },
  })),
  step('the upload is cut', world => {
    world.upload?.destroy()
    world.upload = null
  }),
  fc.integer({ min: 0, max: 100 }).map<Step>(percent => ({
    name: `upload once more from ${percent} %`,
    run: async world => await open(world, Math.floor((world.have * percent) / 100)),
  })),
  step('the upload ends', world => {
    void world.upload?.end().catch(() => undefined)
    world.upload = null
  }),
  step('relays die', () => mortal.kill()),
  fc.nat(1).chain(index => step(`client ${index} is cut off`, ({ followers }) => followers[index]?.drop())),
  step('the database is away', () => proxy.down()),
  step('the database is back', () => proxy.up()),
  step('a while', async () => void (await soon())),
]

async function finish(world: World): Promise<void> {
  proxy.up()
  while (world.have < world.said) {
    const last = await streams.upload(world.job, world.have)
    last.write(contentOf(world.have, world.said))
    const answer = await last.end().catch(() => null)
    if (answer?.status === 200) world.have = answer.body.have
    else await soon()
  }
  const [{ answer } = { answer: '' }] = await runner.report([streamed(world.job, { bytes: world.said })])
  expect(answer).toBe('accepted')
}

test('behavior: whatever is lost on the way, clients get the same bytes', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps), { maxLength: 14 }), async all => {
      const fields = { detach: true, expires_in: 60 }
      const first = await streams.ask(fields, { headers: asEvents })
      const job = await streams.claim()
      const second = await streams.resume(job.id, { headers: asEvents })
      const world: World = {
        job,
        followers: [follow(first), follow(second)],
        upload: null,
        at: 0,
        said: 0,
        have: 0,
      }
      for (const { run } of all) {
        await run(world)
        await soon()
      }
      await finish(world)
      await Promise.all(world.followers.map(({ ended }) => ended))
      const whole = contentOf(0, world.said)
      for (const { bytes, last } of world.followers) {
        expect(last?.event).toBe('completed')
        expect([bytes.byteLength, bytes.equals(whole)]).toEqual([whole.byteLength, true])
      }
      world.upload?.destroy()
    }),
    {
      numRuns: Number(process.env.FUZZ_SCALE ?? 1) * 12,
      ...(process.env.FUZZ_SEED ? { seed: Number(process.env.FUZZ_SEED) } : {}),
    },
  )
  expect(rejections).toEqual([])
  // Nothing is left of all these streams.
  await expect.poll(() => mortal.count(), { timeout: 10_000 }).toBe(0)
})

test('behavior: a client of a stream in compatible mode notices neither a dead relay nor a database that is away', async () => {
  const { client, job, upload } = await streams.begin({ first: 'one ' })
  const others = await streams.resume(job.id, { headers: asEvents })
  await others.until(text => text.includes('one '))
  mortal.kill()
  expect((await upload.answer.catch(() => null))?.status).not.toBe(200)
  // What was seen of it is stored nowhere: the runner sends it again.
  const next = await streams.upload(job)
  next.write('one two ')
  await client.until(text => text.endsWith('two '))
  proxy.down()
  next.write('three ')
  await client.until(text => text.endsWith('three '))
  proxy.up()
  expect(await next.end()).toEqual({ status: 200, body: { have: 14, stop: false } })
  await runner.report([streamed(job, { bytes: 14 })])
  expect([await client.ended, client.text()]).toEqual([true, `${job.id}\none two three `])
  await others.ended
  expect(eventsOf(others.text()).at(-1)).toMatchObject({ event: 'completed' })
})
