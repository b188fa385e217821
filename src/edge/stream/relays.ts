import { createRelay, type Relay, type RelayOptions, type Relays } from './relay.ts'
import { createRelayStore, type StoreOptions } from './store.ts'

export type RelaysOptions = StoreOptions & Pick<RelayOptions, 'storedBytes' | 'closing'>

/** Relays for a host with one process: each is there while somebody uploads or reads. */
export function createRelays({ storedBytes, closing, ...store }: RelaysOptions): Relays {
  const relays = new Map<string, Relay>()
  return job => {
    const known = relays.get(job)
    if (known) return known
    const relay = createRelay({
      store: createRelayStore(store, job),
      storedBytes,
      sharesProcess: true,
      ...(closing && { closing }),
      onIdle() {
        if (relays.get(job) === relay) relays.delete(job)
      },
    })
    relays.set(job, relay)
    return relay
  }
}
