import type { Context as HonoContext } from 'hono'
import type { Config } from '../edge/config.ts'
import type { Peer } from '../edge/context.ts'
import type { Log } from '../edge/log.ts'
import { clientAddress, isLoopback } from '../edge/runners/address.ts'
import type { Connection } from './listen.ts'

/** By which proxies say that they ask for somebody else. */
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/**
 * Who sends a request: by the header that a proxy in front is trusted to set, or by the connection. One that a proxy of which we were
 * not told has passed on is nobody's in particular: by its connection it would be a neighbour's, and every client the same.
 */
export function createPeer(
  { CLIENT_IP_HEADER: header, ORIGIN }: Pick<Config, 'CLIENT_IP_HEADER' | 'ORIGIN'>,
  log: Log,
): (c: HonoContext) => Peer {
  // We speak no TLS: where the outside does, something on this machine may pass it on without a word in the request.
  const mayBeNeighbour = ORIGIN.startsWith('http:')
  let isTold = false

  function tell(proxyHeader: string): void {
    if (!isTold) log.warn('A proxy is in front; CLIENT_IP_HEADER names no header', { header: proxyHeader })
    isTold = true
  }

  return function peer(c) {
    const { address } = c.env as Connection
    if (header !== 'socket')
      return { address: clientAddress(c.req.header(header) ?? address ?? undefined), loopback: false }
    const proxyHeader = proxyHeaders.find(name => c.req.header(name) !== undefined)
    if (proxyHeader === undefined)
      return { address: clientAddress(address ?? undefined), loopback: mayBeNeighbour && isLoopback(address) }
    tell(proxyHeader)
    return { address: null, loopback: false }
  }
}
