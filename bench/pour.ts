import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/**
 * A container that streams: `pieces` of them, one each `every_ms`, each the moment that it was sent at, in milliseconds, and a line end;
 * or `bytes` as fast as they are taken.
 */
type Asked = { pieces?: number; every_ms?: number; bytes?: number }

const blockBytes = 64 * 1024

const server = createServer(async (request, response) => {
  if (request.method !== 'POST') {
    response.end('{}')
    return
  }
  const asked = JSON.parse(await text(request)) as { data: Asked }
  const { pieces = 1, every_ms: everyMs = 0, bytes = 0 } = asked.data
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  if (bytes > 0) {
    pour(bytes)
    return
  }
  let left = pieces
  let timer: NodeJS.Timeout | undefined
  say()
  if (left > 0) timer = setInterval(say, everyMs)
  response.on('close', () => clearInterval(timer))

  function say(): void {
    left -= 1
    response.write(`${performance.timeOrigin + performance.now()}\n`)
    if (left > 0) return
    clearInterval(timer)
    response.end()
  }

  function pour(total: number): void {
    const block = Buffer.alloc(blockBytes, 0x61)
    for (let poured = 0; poured < total; ) {
      poured += block.length
      if (response.write(block)) continue
      response.once('drain', () => pour(total - poured))
      return
    }
    response.end()
  }
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
process.on('SIGTERM', () => process.exit(0))
