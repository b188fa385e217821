import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { type MortalEdge, startMortalEdge } from '../support/mortal-edge.ts'
import { type Event, eventsOf, streamed, type TestReader, type TestUpload } from '../support/stream.ts'
import { asEvents } from '../support/streams.ts'

/**
 * Whatever is lost, doubled or late between a client, the edge, its database and a runner, clients get the same bytes. Over sockets; the
 * relays are in this process, so that they can die alone.
 */

let edge: MortalEdge
let app: MortalEdge['app']
let mortal: MortalEdge['mortal']
let proxy: MortalEdge['proxy']
let runner: MortalEdge['runner']
let streams: MortalEdge['streams']
const rejections: unknown[] = []
/** So long a job of which nobody has come to read runs on, also where its relay has just come to be. */
const unreadMs = 1_000
const note = (error: unknown) => void rejections.push(error)

beforeAll(async () => {
  process.on('unhandledRejection', note)
  edge = await startMortalEdge({ returnMs: unreadMs })
  ;({ app, mortal, proxy, runner, streams } = edge)
})
afterAll(async () => {
  process.off('unhandledRejection', note)
  await edge[Symbol.asyncDispose]()
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

/** A client for which one piece is asked for, as any server does, and another when it says so: no socket holds more for it. */
type SlowReader = { bytes(): Buffer; take(): Promise<boolean>; rest(): Promise<void> }

async function readByHand(job: string): Promise<SlowReader> {
  const response = await app.request(`/api/jobs/${job}/stream`)
  const source = response.body?.getReader()
  const pieces: Uint8Array[] = []
  const take = async () => {
    const { value } = (await source?.read()) ?? {}
    if (value) pieces.push(value)
    return value !== undefined
  }
  void take()
  return {
    bytes: () => Buffer.concat(pieces),
    take,
    async rest() {
      while (await take());
    },
  }
}

type World = {
  job: ClaimedJob
  /** Clients without whom it is cancelled. */
  keepers: number
  followers: Follower[]
  slow: SlowReader
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
  step('a slow client takes a piece', ({ slow }) => void slow.take()),
  step('a while', async () => void (await soon())),
]
const comings = [
  fc.nat(1).chain(index => step(`client ${index} is cut off`, ({ followers }) => followers[index]?.drop())),
]
/** What may take longer than a job goes unread. */
const absences = [
  step('the database is away', () => proxy.down()),
  step('the database is back', () => proxy.up()),
]

async function finish(world: World): Promise<void> {
  proxy.up()
  while (world.have < world.said) {
    const last = await streams.upload(world.job, world.have)
    last.write(contentOf(world.have, world.said))
    const answer = await last.end().catch(() => null)
    // Somebody reads: it has not been cancelled.
    expect(answer?.status).not.toBe(409)
    if (answer?.status === 200) world.have = answer.body.have
    else await soon()
  }
  const [{ answer } = { answer: '' }] = await runner.report([streamed(world.job, { bytes: world.said })])
  expect(answer).toBe('accepted')
}

/** A job that runs on by itself, with clients that come back and a slow one. */
async function beginDetached(): Promise<World> {
  const first = await streams.ask({ detach: true, expires_in: 60 }, { headers: asEvents })
  const job = await streams.claim()
  const second = await streams.resume(job.id, { headers: asEvents })
  const followers = [follow(first), follow(second)]
  return worldOf(job, { keepers: 0, followers, slow: await readByHand(job.id) })
}

/** A job that nobody but a slow client keeps. */
async function beginWatched(): Promise<World> {
  const first = await streams.ask({ expires_in: 60 })
  const job = await streams.claim()
  const slow = await readByHand(job.id)
  first.leave()
  return worldOf(job, { keepers: 1, followers: [], slow })
}

/** The same, with another one that comes and goes. */
async function beginBeside(): Promise<World> {
  const first = await streams.ask({ expires_in: 60 }, { headers: asEvents })
  const job = await streams.claim()
  return worldOf(job, { keepers: 2, followers: [follow(first)], slow: await readByHand(job.id) })
}

function worldOf(job: ClaimedJob, clients: Pick<World, 'keepers' | 'followers' | 'slow'>): World {
  return { job, ...clients, upload: null, at: 0, said: 0, have: 0 }
}

/** The relay is another one, which has to hear from all who keep the job. */
async function loseRelay(world: World): Promise<void> {
  const before = mortal.sat()
  mortal.kill()
  await open(world, world.have)
  await expect
    .poll(() => mortal.sat(), { timeout: 5 * unreadMs })
    .toBeGreaterThanOrEqual(before + world.keepers)
}

async function play(world: World, steps: readonly Step[]): Promise<void> {
  for (const { run } of steps) {
    await run(world)
    await soon()
  }
  if (world.keepers > 0) await loseRelay(world)
  const rest = world.slow.rest()
  await finish(world)
  await Promise.all([rest, ...world.followers.map(({ ended }) => ended)])
  const whole = contentOf(0, world.said)
  for (const { last } of world.followers) expect(last?.event).toBe('completed')
  for (const bytes of [world.slow.bytes(), ...world.followers.map(follower => follower.bytes)])
    expect([bytes.byteLength, bytes.equals(whole)]).toEqual([whole.byteLength, true])
  world.upload?.destroy()
}

test.for([
  ['one that runs on by itself', beginDetached, [...steps, ...comings, ...absences]],
  ['one that a slow client keeps', beginWatched, steps],
  ['one that a slow client keeps beside another', beginBeside, [...steps, ...comings]],
] as const)(
  'behavior: whatever is lost on the way, clients get the same bytes: %s',
  { timeout: 120_000 },
  async ([, begin, kinds]) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(...kinds), { maxLength: 14 }),
        async all => await play(await begin(), all),
      ),
      {
        numRuns: Number(process.env.FUZZ_SCALE ?? 1) * 12,
        ...(process.env.FUZZ_SEED ? { seed: Number(process.env.FUZZ_SEED) } : {}),
      },
    )
    expect(rejections).toEqual([])
    // Nothing is left of all these streams.
    await expect.poll(() => mortal.count(), { timeout: 10_000 }).toBe(0)
  },
)

test('behavior: a job whose client stands still while relays die is kept for it', async () => {
  const { client, job, upload } = await streams.begin({ first: 'one ' })
  const slow = await readByHand(job.id)
  client.leave()
  await expect.poll(() => slow.bytes().toString()).toBe('one ')
  upload.write('two ')
  let said = 'one two '
  for (const text of ['three ', 'four ']) {
    const before = mortal.sat()
    mortal.kill()
    const next = await streams.upload(job)
    said += text
    next.write(said)
    // Not one byte more was asked for.
    await expect.poll(() => mortal.sat()).toBe(before + 1)
  }
  const last = await streams.upload(job)
  last.write(said)
  const rest = slow.rest()
  expect(await last.end()).toEqual({ status: 200, body: { have: said.length, stop: false } })
  await runner.report([streamed(job, { bytes: said.length })])
  await rest
  expect(slow.bytes().toString()).toBe(said)
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
