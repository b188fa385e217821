import { DurableObject } from 'cloudflare:workers'
import { type Bell as BellApi, createBell, type Heard, type Ring, type Ticket, type Wait } from './bell.ts'

/** `id`: of this one wait, so that its caller can end it. */
export type RemoteWait = Wait & { id: string }

/** The bell of one topic on Workers, called as JavaScript: a request and a response for each call took twice the time. */
export class Bell extends DurableObject {
  readonly #bell: BellApi = createBell()
  readonly #waits = new Map<string, AbortController>()

  ticket(): Promise<Ticket> {
    return this.#bell.ticket()
  }

  ring(ring: Ring, after?: Ticket): Promise<Ticket> {
    return this.#bell.ring(ring, after)
  }

  async wait({ id, ...wait }: RemoteWait): Promise<Heard> {
    const leaving = new AbortController()
    this.#waits.set(id, leaving)
    try {
      return await this.#bell.wait(wait, leaving.signal)
    } finally {
      this.#waits.delete(id)
    }
  }

  leave(id: string): void {
    this.#waits.get(id)?.abort('left')
  }
}
