import { createServer } from 'node:net'

/**
 * Below what systems give to outgoing connections: one of these would take a port between its being chosen and its being listened on, which
 * is seconds where programs start side by side.
 */
const ports = { from: 20_000, to: 32_000 } as const
const maxTries = 100

/** A port that nobody listens on at this moment. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const port = ports.from + Math.floor(Math.random() * (ports.to - ports.from))
    if (await isPortFree(port, host)) return port
  }
  return await listenOnce(host, 0)
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
