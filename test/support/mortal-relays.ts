import { createRelay, type Relay, type RelayStore, type Relays } from '../../src/edge/stream/relay.ts'
import { createRelayStore, type StoreOptions } from '../../src/edge/stream/store.ts'

/** Relays that die when they are told to, as a Durable Object may at any time: with all their connections, and without a word. */
export type MortalRelays = { relays: Relays; kill(): void; count(): number }

type Life = { relay: Relay; kill(): void }

export function createMortalRelays({
  storedBytes,
  ...store
}: StoreOptions & { storedBytes: number }): MortalRelays {
  const lives = new Map<string, Life>()
  return {
    relays(job) {
      const known = lives.get(job)
      if (known) return known.relay
      const life: Life = createLife(createRelayStore(store, job), storedBytes, () => {
        if (lives.get(job) === life) lives.delete(job)
      })
      lives.set(job, life)
      return life.relay
    },
    kill() {
      for (const life of [...lives.values()]) life.kill()
      lives.clear()
    },
    count: () => lives.size,
  }
}

function createLife(store: RelayStore, storedBytes: number, onIdle: () => void): Life {
  const dying = new AbortController()
  const { signal } = dying
  const died = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('The relay has died')))
  })
  died.catch(() => undefined)
  const whileAlive = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    signal.throwIfAborted()
    return await work()
  }
  const relay = createRelay({
    storedBytes,
    onIdle,
    store: {
      open: (lease, turn) => whileAlive(() => store.open(lease, turn)),
      close: (lease, turn) => whileAlive(() => store.close(lease, turn)),
      select: lease => whileAlive(() => store.select(lease)),
      append: piece => whileAlive(() => store.append(piece)),
      // A timer of somebody dead.
      abandon: async () => (signal.aborted ? undefined : await store.abandon()),
    },
  })
  return {
    relay: {
      write: (upload, body) => Promise.race([relay.write(upload, body), died]),
      async read(reading) {
        const output = await relay.read(reading)
        if (output === null) return null
        const source = output.getReader()
        return new ReadableStream(
          {
            async pull(controller) {
              const { done, value } = await Promise.race([source.read(), died])
              if (done) controller.close()
              else controller.enqueue(value)
            },
            cancel: () => source.cancel(),
          },
          { highWaterMark: 0 },
        )
      },
      leave: leaving => relay.leave(leaving),
    },
    kill: () => dying.abort(),
  }
}
