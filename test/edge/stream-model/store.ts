import type { RelayStore } from '../../../src/edge/stream/relay.ts'

/** The database as a relay sees it: what the statements of `jobs/output.ts` do, for one job, and their failures on demand. */
export type FakeStore = RelayStore & {
  /** The job. */
  job: { attempt: number; isOver: boolean; unreadMs: number | null; bytes: Buffer; isOpen: boolean }
  isDown: boolean
  /** The next append is done, and its answer lost. */
  losesAnswer: boolean
  appends: number
}

export function createFakeStore({ unreadMs = 1_000 }: { unreadMs?: number | null } = {}): FakeStore {
  const store: FakeStore = {
    job: { attempt: 1, isOver: false, unreadMs, bytes: Buffer.alloc(0), isOpen: false },
    isDown: false,
    losesAnswer: false,
    appends: 0,
    async select({ attempt }) {
      reach()
      const { job } = store
      return job.isOver || attempt !== job.attempt
        ? null
        : { stored: job.bytes.byteLength, unreadMs: job.unreadMs }
    },
    async open(lease) {
      const known = await store.select(lease)
      if (known !== null) store.job.isOpen = true
      return known
    },
    async close({ attempt }) {
      reach()
      if (attempt === store.job.attempt && store.job.bytes.byteLength === 0) store.job.isOpen = false
    },
    async append({ attempt, from, bytes }) {
      reach()
      store.appends += 1
      const { job } = store
      if (job.isOver || attempt !== job.attempt || from !== job.bytes.byteLength) return false
      job.bytes = Buffer.concat([job.bytes, bytes])
      if (store.losesAnswer) {
        store.losesAnswer = false
        throw new Error('The answer is lost')
      }
      return true
    },
    async abandon() {
      reach()
      store.job.isOver = true
    },
  }
  function reach(): void {
    if (store.isDown) throw new Error('The database is away')
  }
  return store
}

/** What a container says, as far as anybody wants to know: each byte follows from its offset, and from the attempt. */
export function contentOf(from: number, to: number, attempt = 1): Buffer {
  const bytes = Buffer.allocUnsafe(to - from)
  for (let at = from; at < to; at += 1) bytes[at - from] = Math.imul(at + attempt, 2_654_435_761) >>> 24
  return bytes
}
