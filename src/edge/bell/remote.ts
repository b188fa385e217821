import { waitUntil } from 'cloudflare:workers'
import type { Bell, Bells, Heard, Ticket } from './bell.ts'
import type { RemoteRing } from './object.ts'

/** Bells that live in Durable Objects, one for each topic. */
export function createRemoteBells(namespace: DurableObjectNamespace): Bells {
  return topic => {
    const post = (path: string, body: string | null = null) =>
      namespace.get(namespace.idFromName(topic)).fetch(`http://bell${path}`, { method: 'POST', body })
    return {
      ticket: async () => await (await post('/ticket')).json<Ticket>(),
      async wait(wait, signal) {
        const id = crypto.randomUUID()
        // An aborted signal is not passed on to a Durable Object (workerd 2026-10): its waiter would take a ring for nobody. And
        // once the caller has gone, only a listener and what it hands to `waitUntil` still run.
        const leave = () => waitUntil(post('/leave', id).catch(() => undefined))
        signal?.addEventListener('abort', leave)
        try {
          return await (await post('/wait', JSON.stringify({ ...wait, id }))).json<Heard>()
        } finally {
          // Its client may wait again and again, and leave at the end.
          signal?.removeEventListener('abort', leave)
        }
      },
      ring: async (ring, after) =>
        await (await post('/ring', JSON.stringify({ ring, after } satisfies RemoteRing))).json<Ticket>(),
    } satisfies Bell
  }
}
