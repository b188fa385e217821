import { DurableObject } from 'cloudflare:workers'
import type { Bell } from '../bell/object.ts'
import { createRemoteBells } from '../bell/remote.ts'
import { parseConfig, relayOptionsOf } from '../config.ts'
import { openDb } from '../db/open.ts'
import { toWire } from './frames.ts'
import {
  createRelay,
  type Leaving,
  type Output,
  type Reading,
  type Relay as RelayApi,
  type Upload,
} from './relay.ts'
import { createRelayStore, type StoreOptions } from './store.ts'

type Env = { BELL: DurableObjectNamespace<Bell> } & Record<string, unknown>

type Wiring = { store: StoreOptions; storedBytes: number }

let wired: Wiring | undefined

/** Once for an isolate, in which many relays live: bindings do not change during its life. */
function wire(env: Env): Wiring {
  const config = parseConfig(env)
  const db = openDb({ url: config.DATABASE_URL, token: config.DATABASE_TOKEN })
  const { storedBytes, leaseMs } = relayOptionsOf(config)
  return { store: { db, bells: createRemoteBells(env.BELL), leaseMs }, storedBytes }
}

/** The relay of one job on Workers. */
export class Relay extends DurableObject<Env> {
  #relay: RelayApi | null = null

  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const job = url.searchParams.get('job') ?? ''
    this.#relay ??= this.#create(job)
    switch (url.pathname) {
      case '/write':
        return Response.json(await this.#relay.write(told<Upload>(url), request.body))
      case '/read':
        return answer(await this.#relay.read(told<Reading>(url)))
      case '/keep':
        return answer(await this.#relay.keep(told<Reading>(url)))
      case '/leave':
        await this.#relay.leave(await request.json<Leaving>())
        return new Response(null, { status: 204 })
      default:
        return new Response(null, { status: 404 })
    }
  }

  #create(job: string): RelayApi {
    wired ??= wire(this.env)
    const { store, storedBytes } = wired
    return createRelay({ store: createRelayStore(store, job), storedBytes })
  }
}

/** Only our own Worker calls: what it says is as it should be. */
function told<Told>(url: URL): Told {
  return JSON.parse(url.searchParams.get('told') ?? '{}') as Told
}

function answer(output: Output | 'there'): Response {
  if (output === 'there') return new Response(null, { status: 204 })
  if (output === null) return new Response(null, { status: 429 })
  return new Response(toWire(output), {
    headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'identity' },
  })
}
