import type { RelayStore } from '../../../src/edge/stream/store.ts'

/** The database as a relay sees it: what the statements of `jobs/output.ts` do, for one job, and their failures on demand. */
export type FakeStore = RelayStore & {
  /** As another relay sees it. */
  as(relay: string): RelayStore
  /** The job. `note`: of whoever may have passed output on, and which time. */
  job: { attempt: number; isOver: boolean; unreadMs: number | null; bytes: Buffer; note: Note | null }
  /** Statements that open the output wait until the test lets them. */
  opening: Promise<void> | null
  isDown: boolean
  /** The next append is done, and its answer lost. */
  losesAnswer: boolean
  appends: number
  calls: number
}

export type Note = { relay: string; turn: number }

export function createFakeStore({ unreadMs = 1_000 }: { unreadMs?: number | null } = {}): FakeStore {
  const store: FakeStore = {
    job: { attempt: 1, isOver: false, unreadMs, bytes: Buffer.alloc(0), note: null },
    opening: null,
    isDown: false,
    losesAnswer: false,
    appends: 0,
    calls: 0,
    async select({ attempt }) {
      reach()
      const { job } = store
      return job.isOver || attempt !== job.attempt
        ? null
        : { stored: job.bytes.byteLength, unreadMs: job.unreadMs }
    },
    as: relay => ({
      ...store,
      async open(lease, turn) {
        const known = await store.select(lease)
        const { note } = store.job
        const noted = known !== null && (note === null || note.relay === relay)
        if (noted) store.job.note = { relay, turn }
        await store.opening
        return known && { ...known, noted }
      },
      async close({ attempt }, turn) {
        reach()
        const { note, bytes } = store.job
        const isIts = note?.relay === relay && note.turn === turn
        if (isIts && attempt === store.job.attempt && bytes.byteLength === 0) store.job.note = null
      },
    }),
    open: async (lease, turn) => await store.as('the only one').open(lease, turn),
    close: async (lease, turn) => await store.as('the only one').close(lease, turn),
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
    async call() {
      store.calls += 1
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
