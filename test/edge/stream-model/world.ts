import { createRelay, type Relay } from '../../../src/edge/stream/relay.ts'
import type { RelayStore } from '../../../src/edge/stream/store.ts'
import { contentOf, createFakeStore, type FakeStore } from './store.ts'

/** One job's relay, its runner and its readers, as far as they speak with it. */
export type World = {
  store: FakeStore
  relay: Relay
  /** What the relay did is not done any more: it is dead. */
  sever(): void
  /** Bytes that the container has said. */
  said: number
  readers: ModelReader[]
  uploads: ModelUpload[]
  have: number
  /** A runner was told that it has lost its lease. */
  isRefused: boolean
}

export type ModelReader = {
  bytes: Buffer
  isPaused: boolean
  isLost: boolean
  sit(): Promise<void>
  drop(): void
}
export type ModelUpload = {
  offset: number
  send(bytes: number): void
  end(): Promise<void>
  cut(): void
  isOpen: boolean
  /** Whether it is open, and of the attempt that counts. */
  isCurrent(): boolean
}

export function createWorld({ cap, readers }: { cap: number; readers: number }): World {
  const store = createFakeStore()
  const world: World = {
    store,
    ...startRelay(store, cap),
    said: 0,
    readers: [],
    uploads: [],
    have: 0,
    isRefused: false,
  }
  for (let index = 0; index < readers; index += 1) world.readers.push(createModelReader(world))
  return world
}

let relays = 0

function startRelay(shared: FakeStore, cap: number): Pick<World, 'relay' | 'sever'> {
  relays += 1
  const store = shared.as(`relay ${relays}`)
  let isDead = false
  const whileAlive = () => {
    if (isDead) throw new Error('This relay is dead')
  }
  const own: RelayStore = {
    async select(lease) {
      whileAlive()
      return await store.select(lease)
    },
    async open(lease, turn) {
      whileAlive()
      return await store.open(lease, turn)
    },
    async close(lease, turn) {
      whileAlive()
      await store.close(lease, turn)
    },
    async append(piece) {
      whileAlive()
      return await store.append(piece)
    },
    async call() {
      whileAlive()
      await store.call()
    },
    async abandon() {
      whileAlive()
      await store.abandon()
    },
  }
  return {
    relay: createRelay({ store: own, storedBytes: cap }),
    sever() {
      isDead = true
    },
  }
}

let keys = 0

/** Reads as `stream/reader.ts` does: what a frame leaves out is in the store. */
function createModelReader(world: World): ModelReader {
  let source: ReadableStreamDefaultReader<{ offset: number; bytes: Uint8Array }> | null = null
  const reader: ModelReader = {
    bytes: Buffer.alloc(0),
    isPaused: false,
    isLost: false,
    async sit() {
      keys += 1
      const output = await world.relay.read({
        key: `reader ${keys}`,
        from: reader.bytes.byteLength,
        mayFollow: true,
        unreadMs: world.store.job.unreadMs,
      })
      if (output === null) throw new Error('Crowded')
      const mine = output.getReader()
      source = mine
      reader.bytes = Buffer.concat([reader.bytes, world.store.job.bytes.subarray(reader.bytes.byteLength)])
      void follow(mine)
    },
    drop() {
      void source?.cancel().catch(() => undefined)
      source = null
    },
  }
  async function follow(mine: typeof source): Promise<void> {
    while (source === mine && mine !== null) {
      while (reader.isPaused) await new Promise(resolve => setTimeout(resolve, 10))
      const { done, value } = await mine.read()
      if (done || source !== mine) return
      const at = reader.bytes.byteLength
      const stored = world.store.job.bytes
      if (value.offset > at) reader.bytes = Buffer.concat([reader.bytes, stored.subarray(at, value.offset)])
      if (value.offset > reader.bytes.byteLength) {
        reader.isLost = true
        return
      }
      const rest = value.bytes.subarray(reader.bytes.byteLength - value.offset)
      reader.bytes = Buffer.concat([reader.bytes, rest])
    }
  }
  return reader
}

/** Opens one as a runner does, from what the edge is known to have, or from before that. */
export function openModelUpload(world: World, { from }: { from: number }): ModelUpload {
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given
    },
  })
  const lease = { runner: 'r', id: 'j', attempt: world.store.job.attempt }
  const answer = world.relay.write({ ...lease, from }, body).then(
    written => {
      upload.isOpen = false
      if (written.stale) world.isRefused ||= lease.attempt === world.store.job.attempt
      else if (lease.attempt === world.store.job.attempt) world.have = Math.max(world.have, written.have)
    },
    () => {
      upload.isOpen = false
    },
  )
  const upload: ModelUpload = {
    offset: from,
    isOpen: true,
    isCurrent: () => upload.isOpen && lease.attempt === world.store.job.attempt,
    send(bytes) {
      if (!upload.isOpen) return
      const to = upload.offset + bytes
      if (lease.attempt === world.store.job.attempt) world.said = Math.max(world.said, to)
      controller?.enqueue(contentOf(upload.offset, to, lease.attempt))
      upload.offset = to
    },
    end() {
      if (upload.isOpen) controller?.close()
      upload.isOpen = false
      return answer
    },
    cut() {
      if (upload.isOpen) controller?.error(new Error('cut'))
      upload.isOpen = false
    },
  }
  world.uploads.push(upload)
  return upload
}

/** The runner dies, or is taken for dead: another one begins anew, if the database lets it. What the first one says from then on is nobody's. */
export function beginAnew(world: World): void {
  const { job } = world.store
  if (job.note !== null || job.bytes.byteLength > 0) return
  job.attempt += 1
  world.said = 0
  world.have = 0
}

/** The relay dies: everybody's connection with it breaks. */
export async function killRelay(world: World, cap: number): Promise<void> {
  for (const upload of world.uploads) upload.cut()
  for (const reader of world.readers) reader.drop()
  world.sever()
  Object.assign(world, startRelay(world.store, cap))
  for (const reader of world.readers) await reader.sit()
}
