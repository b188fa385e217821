import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { createEdge } from '../../src/runner/edge/connect.ts'

test('behavior: a large body is given the time that a slow uplink takes, a small one only that of an answer', async () => {
  const waiting = new Map<string, () => void>()
  // Nothing of a body is read before it is let go, so that the client cannot send it.
  const server = createServer((request, response: ServerResponse) => {
    waiting.set(request.url ?? '', () => request.resume().on('end', () => response.end('{}')))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const signer = { token: async () => 'token', renew() {} }
  const edge = createEdge({ url, id: 'id', signer, answerMs: 100 })
  onTestFinished(async () => {
    await edge.close()
    server.close()
    server.closeAllConnections()
  })
  const large = [
    edge.send({ method: 'PUT', path: '/part', body: new Uint8Array(limits.partBytes) }),
    edge.send({ method: 'POST', path: '/report', body: 'x'.repeat(limits.partBytes) }),
  ]
  const small = edge.send({ method: 'POST', path: '/small', body: '{}' })
  await expect(small).rejects.toMatchObject({ status: null, cause: { code: 'UND_ERR_HEADERS_TIMEOUT' } })
  for (const path of ['/part', '/report']) waiting.get(path)?.()
  for (const { statusCode, body } of await Promise.all(large)) {
    expect(statusCode).toBe(200)
    await body.dump()
  }
})
