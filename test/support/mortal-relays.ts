import {
  createRelay,
  type Output,
  type Relay,
  type RelayOptions,
  type Relays,
} from '../../src/edge/stream/relay.ts'
import { createRelayStore, type StoreOptions } from '../../src/edge/stream/store.ts'

/** Relays that die when they are told to, as a Durable Object may at any time: with all their connections, and without a word. */
export type MortalRelays = {
  relays: Relays
  kill(): void
  count(): number
  /** How often somebody has sat down. */
  sat(): number
}

type Life = { relay: Relay; kill(): void }

type MortalOptions = StoreOptions & { storedBytes: number; returnMs?: number }

export function createMortalRelays({ storedBytes, returnMs = 5_000, ...store }: MortalOptions): MortalRelays {
  const lives = new Map<string, Life>()
  let sat = 0
  return {
    relays(job) {
      const known = lives.get(job)
      if (known) return known.relay
      const life: Life = createLife({
        store: createRelayStore(store, job),
        storedBytes,
        returnMs,
        onIdle() {
          if (lives.get(job) === life) lives.delete(job)
        },
        onRead() {
          sat += 1
        },
      })
      lives.set(job, life)
      return life.relay
    },
    kill() {
      for (const life of [...lives.values()]) life.kill()
      lives.clear()
    },
    count: () => lives.size,
    sat: () => sat,
  }
}

function createLife({ store, onRead, ...options }: RelayOptions & { onRead(): void }): Life {
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
    ...options,
    store: {
      open: (lease, turn) => whileAlive(() => store.open(lease, turn)),
      close: (lease, turn) => whileAlive(() => store.close(lease, turn)),
      select: lease => whileAlive(() => store.select(lease)),
      append: piece => whileAlive(() => store.append(piece)),
      // Timers of somebody dead.
      call: async () => (signal.aborted ? undefined : await store.call()),
      abandon: async () => (signal.aborted ? undefined : await store.abandon()),
    },
  })
  /** As it comes, until it dies. */
  function mortal(output: Output): Output {
    if (output === null) return null
    onRead()
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
  }
  return {
    relay: {
      write: (upload, body) => Promise.race([relay.write(upload, body), died]),
      read: async reading => mortal(await relay.read(reading)),
      async keep(reading) {
        const output = await relay.keep(reading)
        return output === 'there' ? output : mortal(output)
      },
      leave: leaving => relay.leave(leaving),
    },
    kill: () => dying.abort(),
  }
}
