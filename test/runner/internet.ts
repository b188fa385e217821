import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * What is beyond this host, in a network namespace: an address of the internet, one of a private network, the metadata service of a
 * cloud, a name server; and, on request, a neighbour that routes to this host's containers. Needs root.
 */
export const beyond = {
  public: '11.22.33.44',
  private: '10.213.99.99',
  metadata: '169.254.169.254',
  port: 8053,
  /** Here all that comes is sent back. */
  talk: 8054,
} as const

/** The name server answers each name with this address. */
export const answered = '192.0.2.77'

export type Internet = {
  /** Runs a program there. */
  run(...command: string[]): string
  close(): void
}

const servers = `
const addresses = ${JSON.stringify([beyond.public, beyond.private, beyond.metadata])}
const http = require('node:http')
const net = require('node:net')
const udp = require('node:dgram')
for (const address of addresses) {
  http.createServer((_, response) => response.end('there')).listen(${beyond.port}, address)
  net.createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(${beyond.talk}, address)
  const socket = udp.createSocket('udp4')
  socket.on('message', (query, { port, address: to }) => {
    const end = query.indexOf(0, 12) + 5
    const head = Buffer.from(query.subarray(0, end))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(1, 6)
    head.writeUInt16BE(0, 8)
    head.writeUInt16BE(0, 10)
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ${answered.replaceAll('.', ', ')}])
    socket.send(Buffer.concat([head, record]), port, to)
  })
  socket.bind(53, address)
}
setTimeout(() => console.log('ready'), 0)
`

export async function createInternet(): Promise<Internet> {
  const name = `ifn-test-${process.pid}`
  const [here, there] = [`ift${process.pid}a`, `ift${process.pid}b`]
  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' })
  const inside = (...args: string[]) => ip('netns', 'exec', name, ...args)
  ip('netns', 'add', name)
  ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name)
  ip('addr', 'add', '10.213.99.1/30', 'dev', here)
  ip('link', 'set', here, 'up')
  inside('ip', 'link', 'set', 'lo', 'up')
  inside('ip', 'addr', 'add', '10.213.99.2/30', 'dev', there)
  inside('ip', 'link', 'set', there, 'up')
  inside('ip', 'route', 'add', 'default', 'via', '10.213.99.1')
  for (const address of [beyond.public, beyond.private, beyond.metadata]) {
    inside('ip', 'addr', 'add', `${address}/32`, 'dev', 'lo')
    ip('route', 'add', `${address}/32`, 'via', '10.213.99.2')
  }
  const child = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', servers], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return {
    run: inside,
    close() {
      child.kill('SIGKILL')
      // A namespace goes when the kernel finds the time, and its routes with it.
      ip('link', 'del', here)
      ip('netns', 'del', name)
    },
  }
}
