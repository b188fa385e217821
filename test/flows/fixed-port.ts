import { createServer } from 'node:net'
import { isPortFree } from '../../src/local/port.ts'

/** Below the range from which Linux takes the ports of outgoing connections. */
const range = { from: 16_000, to: 32_000 }

/** A port for a server that will be down for a while and come back: nobody's connection is given it meanwhile, and no other test. */
export async function fixedPort(): Promise<number> {
  for (;;) {
    const port = range.from + Math.floor(Math.random() * (range.to - range.from))
    if ((await isPortFree(port)) && (await reserve(port))) return port
  }
}

const reserved = new Set<number>()

/**
 * Until this process ends. Between processes by a name in Linux's abstract socket space: many tests choose their ports at the same
 * moment, long before anything listens there.
 */
async function reserve(port: number): Promise<boolean> {
  if (reserved.has(port)) return false
  reserved.add(port)
  if (process.platform !== 'linux') return true
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer(socket => socket.destroy())
  server.once('error', () => resolve(false))
  server.listen(`\0infernet-test-port-${port}`, () => resolve(true))
  server.unref()
  return await promise
}
