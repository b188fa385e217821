import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { type Handler, type Listen, type Listener, type ListenOptions, toListenError } from './listen.ts'

/** A large body may take its time to arrive, as long as an unfinished upload is kept. */
const requestMs = 10 * 60_000
/** Longer than the pools of proxies and of undici keep an idle connection, so that it is never us who closes first. */
const keepAliveMs = 75_000

/** Listens with Node's HTTP server. */
export const listenOnNode: Listen = async options => {
  /** By connection, in order: a client may send its next request before it has been answered. */
  const inHand = new Map<Socket, Set<ServerResponse>>()
  let draining = false
  const answer = getRequestListener(nodeHandler(options.handle), { hostname: options.hostname })
  const server = createServer({ requestTimeout: requestMs, keepAliveTimeout: keepAliveMs })
  server.on('connection', socket => {
    inHand.set(socket, new Set())
    socket.once('close', () => inHand.delete(socket))
  })
  server.on('request', (incoming, outgoing) => {
    const { socket } = incoming
    const answers = inHand.get(socket)
    answers?.add(outgoing)
    outgoing.once('close', () => {
      answers?.delete(outgoing)
      if (draining && answers?.size === 0) socket.end()
    })
    void answer(incoming, outgoing)
  })
  await listening(server, options)

  return {
    port: (server.address() as AddressInfo).port,
    async drain() {
      draining = true
      // Not the HTTP server's own `close`: it destroys connections whose answer has ended but is not all sent.
      const closed = new Promise<void>(resolve => NetServer.prototype.close.call(server, () => resolve()))
      for (const [socket, answers] of inHand) {
        const last = [...answers].at(-1)
        if (last) last.shouldKeepAlive = false
        else socket.end()
      }
      await closed
    },
    destroy: () => server.closeAllConnections(),
  } satisfies Listener
}

function nodeHandler(handle: Handler): Parameters<typeof getRequestListener>[0] {
  return async (request, { incoming, outgoing }) => {
    const response = await handle(request, { address: incoming.socket.remoteAddress ?? null })
    // A body that nobody read is cut off soon after the answer, and the connection with it: the client should not use it again.
    if (!incoming.complete && 'shouldKeepAlive' in outgoing) outgoing.shouldKeepAlive = false
    return response
  }
}

async function listening(server: NetServer, options: ListenOptions): Promise<void> {
  try {
    // A failure is an event too, which `once` turns into a rejection.
    server.listen(options.port, options.hostname)
    await once(server, 'listening')
  } catch (error) {
    throw toListenError(error, options)
  }
}
