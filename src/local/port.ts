import { createServer } from 'node:net'

/**
 * Below what systems give to outgoing connections: one of these would take a port between its being chosen and its being listened on, which
 * is seconds where programs start side by side.
 */
const ports = { from: 16_000, to: 32_000 } as const
const maxTries = 100
const reserved = new Set<number>()

/**
 * A port that nobody listens on, and that no process of ours is given while this one lives: what it is for may begin to listen later, and
 * be down for a while.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const port = ports.from + Math.floor(Math.random() * (ports.to - ports.from))
    if ((await reserve(port)) && (await isPortFree(port, host))) return port
  }
  return await listenOnce(host, 0)
}

/** Between processes by a name in Linux's abstract socket space, which is gone with this process. */
async function reserve(port: number): Promise<boolean> {
  if (reserved.has(port)) return false
  reserved.add(port)
  if (process.platform !== 'linux') return true
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer(socket => socket.destroy())
  server.once('error', () => resolve(false))
  server.listen(`\0infernet-port-${port}`, () => resolve(true))
  server.unref()
  return await promise
}

/** Whether a port can be listened on. */
export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return await listenOnce(host, port).then(
    () => true,
    () => false,
  )
}

function listenOnce(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('No port')),
      )
    })
  })
}
