import type { Bells } from '../bell/bell.ts'
import type { Db } from '../db/open.ts'
import { createRelay, type Relay, type Relays } from './relay.ts'
import { createRelayStore } from './store.ts'

export type RelaysOptions = { db: Db; bells: Bells; storedBytes: number }

/** Relays for a host with one process: each is there while somebody uploads or reads. */
export function createRelays({ db, bells, storedBytes }: RelaysOptions): Relays {
  const relays = new Map<string, Relay>()
  return job => {
    const known = relays.get(job)
    if (known) return known
    const relay = createRelay({
      store: createRelayStore({ db, bells }, job),
      storedBytes,
      onIdle() {
        if (relays.get(job) === relay) relays.delete(job)
      },
    })
    relays.set(job, relay)
    return relay
  }
}
