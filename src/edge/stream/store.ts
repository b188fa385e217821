import type { Bells } from '../bell/bell.ts'
import { ringCancelled } from '../bell/cancelled.ts'
import { ringEnded } from '../bell/ended.ts'
import type { Db } from '../db/open.ts'
import { cancelUnread, closeOutput, openOutput, selectUpload, storeOutput } from '../jobs/output.ts'
import type { RelayStore } from './relay.ts'

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
