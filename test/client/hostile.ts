import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type HostileServer = {
  url: string
  /** Requests so far, as `METHOD path`. */
  requests: string[]
  [Symbol.asyncDispose](): Promise<void>
}

/** A server that treats its nth request (from 0) as `behave` says. */
export async function startHostileServer(
  behave: (n: number, response: ServerResponse, request: IncomingMessage) => void,
): Promise<HostileServer> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    request.resume().once('end', () => behave(requests.length - 1, response, request))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

export const id = '01a20627-fd62-7fce-a812-08c5f002ba8f'
