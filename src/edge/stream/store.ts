import type { Bells } from '../bell/bell.ts'
import { ringCancelled } from '../bell/cancelled.ts'
import { ringEnded } from '../bell/ended.ts'
import type { Db } from '../db/open.ts'
import {
  cancelUnread,
  closeOutput,
  type OpenedStream,
  openOutput,
  type StoredStream,
  type StreamLease,
  selectUpload,
  storeOutput,
} from '../jobs/output.ts'

/** What a relay needs of the world. */
export type RelayStore = {
  /** From then on, if it is noted, no other attempt begins, until the same turn's `close`, which is for when nothing was passed on. */
  open(lease: StreamLease, turn: number): Promise<OpenedStream | null>
  close(lease: StreamLease, turn: number): Promise<void>
  select(lease: StreamLease): Promise<StoredStream | null>
  /** @returns false when the lease is not the runner's, or the bytes do not follow what is stored. */
  append(piece: StreamLease & { from: number; bytes: Uint8Array }): Promise<boolean>
  /** Asks those who listen for the job's end whether they still have their seats: their relay may be gone. */
  call(): Promise<void>
  /** Nobody has read for as long as the job may run unread: ends it. */
  abandon(): Promise<void>
}

export type StoreOptions = { db: Db; bells: Bells; leaseMs: number }

/** A relay's store in the database. Whoever has to hear that a job was abandoned is told by the bell. */
export function createRelayStore({ db, bells, leaseMs }: StoreOptions, job: string): RelayStore {
  const relay = crypto.randomUUID()
  return {
    open: async (lease, turn) => await openOutput(db, { ...lease, relay, turn, leaseMs }),
    close: async (lease, turn) => await closeOutput(db, { ...lease, relay, turn }),
    select: async lease => await selectUpload(db, lease),
    append: async piece => await storeOutput(db, { ...piece, leaseMs }),
    // To them a bell that rings for no end.
    call: async () => await ringEnded(bells, [job]),
    async abandon() {
      const ended = await cancelUnread(db, job)
      // The upload is told as well, and readers look again.
      if (ended !== null) await ringCancelled(bells, { id: job, ...ended }, () => undefined)
    },
  }
}
