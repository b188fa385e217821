import { DurableObject } from 'cloudflare:workers'
import type { Bell as BellApi, Ring, Ticket, Wait } from './bell.ts'
import { createBell } from './bell.ts'

/** `id`: of this one wait, so that its caller can end it. */
export type RemoteWait = Wait & { id: string }
export type RemoteRing = { ring: Ring; after?: Ticket | undefined }

/** The bell of one topic on Workers. */
export class Bell extends DurableObject {
  readonly #bell: BellApi = createBell()
  readonly #waits = new Map<string, AbortController>()

  override async fetch(request: Request): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case '/ticket':
        return Response.json(await this.#bell.ticket())
      case '/wait':
        return Response.json(await this.#wait(await request.json<RemoteWait>()))
      case '/leave':
        this.#waits.get(await request.text())?.abort()
        return new Response(null, { status: 204 })
      case '/ring': {
        const { ring, after } = await request.json<RemoteRing>()
        return Response.json(await this.#bell.ring(ring, after))
      }
      default:
        return new Response(null, { status: 404 })
    }
  }

  async #wait({ id, ...wait }: RemoteWait) {
    const leaving = new AbortController()
    this.#waits.set(id, leaving)
    try {
      return await this.#bell.wait(wait, leaving.signal)
    } finally {
      this.#waits.delete(id)
    }
  }
}
