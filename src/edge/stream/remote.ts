import { fromWire } from './frames.ts'
import type { Output, Relay, Relays, Written } from './relay.ts'

/** Relays that live in Durable Objects, one for each job. */
export function createRemoteRelays(namespace: DurableObjectNamespace): Relays {
  return job => {
    const post = async (path: string, told: unknown, body: BodyInit | null = null) => {
      const url = new URL(`http://relay${path}`)
      url.searchParams.set('job', job)
      url.searchParams.set('told', JSON.stringify(told))
      const response = await namespace
        .get(namespace.idFromName(job))
        .fetch(url.href, { method: 'POST', body })
      if (response.status >= 500) throw new Error(`The relay answered ${response.status}`)
      return response
    }
    return {
      write: async (upload, body) => await (await post('/write', upload, body)).json<Written>(),
      async read(reading) {
        const { status, body } = await post('/read', reading)
        return outputOf(status, body)
      },
      async keep(reading) {
        const { status, body } = await post('/keep', reading)
        return status === 204 ? 'there' : outputOf(status, body)
      },
      leave: async leaving => void (await post('/leave', {}, JSON.stringify(leaving))),
    } satisfies Relay
  }
}

function outputOf(status: number, body: ReadableStream<Uint8Array> | null): Output {
  if (status === 429) return null
  if (body === null) throw new Error('The relay answered nothing')
  return fromWire(body)
}
