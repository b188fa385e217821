import { waitUntil } from 'cloudflare:workers'
import type { Bell, Bells } from './bell.ts'
import type { Bell as BellObject } from './object.ts'

/** Bells that live in Durable Objects, one for each topic. */
export function createRemoteBells(namespace: DurableObjectNamespace<BellObject>): Bells {
  return topic => {
    const bell = () => namespace.get(namespace.idFromName(topic))
    return {
      ticket: async () => await bell().ticket(),
      async wait(wait, signal) {
        const id = crypto.randomUUID()
        // An aborted signal is not passed on to a Durable Object (workerd 2026-10): its waiter would take a ring for nobody. And
        // once the caller has gone, only a listener and what it hands to `waitUntil` still run.
        const leave = () =>
          waitUntil(
            bell()
              .leave(id)
              .catch(() => undefined),
          )
        signal?.addEventListener('abort', leave)
        try {
          return await bell().wait({ ...wait, id })
        } finally {
          // Its client may wait again and again, and leave at the end.
          signal?.removeEventListener('abort', leave)
        }
      },
      ring: async (ring, after) => await bell().ring(ring, after),
    } satisfies Bell
  }
}
