import { createServer, type ServerResponse } from 'node:http'
import { dataOf } from '../runner/serve.ts'

/**
 * A container as a process of its own, that can be killed and stopped. It answers `{"seen":<data>}`, byte for byte. What it does
 * with a call of a name is told by messages, and it tells of each step of a call.
 */
export type Manner = 'answer' | 'hold' | 'hold half way'
export type ToContainer = { manner: Manner; names: string[]; ticket: number }
export type FromContainer =
  | { kind: 'listens' }
  | { kind: 'told'; ticket: number }
  /** A whole request has come. */
  | { kind: 'called'; name: string }
  /** The first half of the answer is on its way. */
  | { kind: 'half'; name: string }
  | { kind: 'answered'; name: string }
  /** The caller left before the whole answer. */
  | { kind: 'dropped'; name: string }

/** What a chain asks comes as hex in a JSON string. */
function nameIn(data: string): string {
  const [, hex] = /^"([0-9a-f]*)"$/.exec(data) ?? []
  const text = hex === undefined ? data : Buffer.from(hex, 'hex').toString()
  return /"name":"([^"]+)"/.exec(text)?.[1] ?? ''
}

if (process.send) listen(Number(process.argv[2]))

function listen(port: number): void {
  const manners = new Map<string, Manner>()
  const waiting = new Map<string, (() => void)[]>()
  const tell = (message: FromContainer) => void process.send?.(message)

  process.on('message', ({ manner, names, ticket }: ToContainer) => {
    for (const name of names) {
      manners.set(name, manner)
      if (manner === 'answer') for (const go of waiting.get(name)?.splice(0) ?? []) go()
    }
    tell({ kind: 'told', ticket })
  })

  function turnOf(name: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.set(name, [...(waiting.get(name) ?? []), resolve])
    return promise
  }

  async function answer(data: Buffer, response: ServerResponse): Promise<void> {
    const name = nameIn(data.toString())
    const manner = manners.get(name) ?? 'answer'
    tell({ kind: 'called', name })
    response.on('close', () => {
      if (!response.writableFinished) tell({ kind: 'dropped', name })
    })
    if (manner === 'hold') await turnOf(name)
    const output = Buffer.concat([Buffer.from('{"seen":'), data, Buffer.from('}')])
    const half = output.length >> 1
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': output.length })
    response.write(output.subarray(0, half))
    if (manner === 'hold half way') {
      tell({ kind: 'half', name })
      await turnOf(name)
    }
    response.end(output.subarray(half))
    tell({ kind: 'answered', name })
  }

  const server = createServer((request, response) => {
    if (request.method === 'GET') return void response.writeHead(404).end()
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    // A request that breaks off is no call.
    request.on('error', () => {})
    request.on('end', () => void answer(dataOf(Buffer.concat(chunks)), response))
  })
  server.listen(port, '127.0.0.1', () => tell({ kind: 'listens' }))
}
