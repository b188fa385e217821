import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export type Call = {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: Buffer
  aborted: Promise<void>
}
export type Handler = (call: Call, response: ServerResponse) => void

export type Served = { url: string; calls: Call[]; close(): void }

export type Tls = { cert: string; key: string }

/** A container: a real HTTP server, with `tls` of HTTPS, that keeps what it was asked, but for whether it is there. */
export async function serve(handler: Handler, port = 0, tls?: Tls): Promise<Served> {
  const calls: Call[] = []
  const listener: RequestListener = async (request, response) => {
    const aborted = new Promise<void>(resolve =>
      response.once('close', () => !response.writableFinished && resolve()),
    )
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    const { method = '', url = '', headers } = request
    if (method === 'GET' && url.endsWith('/health')) {
      response.writeHead(404).end()
      return
    }
    const call = { method, url, headers, body: Buffer.concat(chunks), aborted }
    calls.push(call)
    handler(call, response)
  }
  const server = tls ? createSecureServer(tls, listener) : createServer(listener)
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

export function json(response: ServerResponse, body: string | Buffer, status = 200): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    .end(body)
}

/** Sends back the `data` it was given, byte for byte. */
export const echo: Handler = ({ body }, response) => json(response, dataOf(body))

/** The bytes of `data` in a request of ours, which ends in `requires_proof`. */
export function dataOf(body: Buffer): Buffer {
  const from = body.indexOf('"data": ') + '"data": '.length
  const to = body.lastIndexOf(', "requires_proof": ')
  return body.subarray(from, to)
}
