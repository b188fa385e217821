import type { Context } from 'hono'
import type { Context as App } from '../context.ts'
import { ownerOf } from '../runners/address.ts'

export type Sender = { owner: string; address: string | null }

/** Who asks, by what the host tells of the connection. */
export function senderOf(app: App, c: Context): Sender {
  const { address } = app.peer(c)
  return { owner: ownerOf(address), address }
}
