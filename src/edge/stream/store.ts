import type { Bells } from '../bell/bell.ts'
import { ringEnded } from '../bell/ended.ts'
import type { Db } from '../db/open.ts'
import { cancelUnread, selectUpload, storeOutput } from '../jobs/output.ts'
import type { RelayStore } from './relay.ts'

/** Enough for all processes of a runner. */
const everyWaiter = 1_000

export type StoreOptions = { db: Db; bells: Bells; leaseMs: number }

/** A relay's store in the database. Whoever has to hear that a job was abandoned is told by the bell. */
export function createRelayStore({ db, bells, leaseMs }: StoreOptions, job: string): RelayStore {
  return {
    select: async lease => await selectUpload(db, lease),
    append: async piece => await storeOutput(db, { ...piece, leaseMs }),
    async abandon() {
      const ended = await cancelUnread(db, job)
      if (ended === null) return
      const rings = [ringEnded(bells, ended.watched ? [job] : [])]
      if (ended.instance !== null) rings.push(bells('control').ring({ [ended.instance]: everyWaiter }))
      // A lost ring costs latency: the upload is told as well, and readers look again.
      await Promise.allSettled(rings)
    },
  }
}
