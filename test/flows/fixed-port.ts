import { isPortFree } from '../../src/local/port.ts'

/** Below the range from which Linux takes the ports of outgoing connections. */
const range = { from: 16_000, to: 32_000 }

/** A port for a server that will be down for a while and come back: nobody's connection is given it meanwhile. */
export async function fixedPort(): Promise<number> {
  for (;;) {
    const port = range.from + Math.floor(Math.random() * (range.to - range.from))
    if (await isPortFree(port)) return port
  }
}
