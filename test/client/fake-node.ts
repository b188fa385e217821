import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export type FakeNode = {
  url: string
  /** Bodies of requests so far, as text, by `METHOD path`. */
  asked: { request: string; body: string }[]
  [Symbol.asyncDispose](): Promise<void>
}

/** A node that says what a test has it say; status and JSON. */
export async function startFakeNode(
  answer: (request: string, body: string) => { status?: number; json: unknown },
): Promise<FakeNode> {
  const asked: FakeNode['asked'] = []
  const server = createServer(async (incoming, response) => {
    const request = `${incoming.method} ${incoming.url}`
    const body = (await buffer(incoming)).toString()
    asked.push({ request, body })
    const { status = 200, json } = answer(request, body)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
