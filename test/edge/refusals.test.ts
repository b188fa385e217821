import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, startTestEdge, type TestEdge } from '../support/edge.ts'
import { exchange } from './fuzz/wire.ts'

/** What a refusal says, and what it does not. */

let edge: TestEdge

beforeAll(async () => {
  edge = await startTestEdge()
})
afterAll(async () => await edge[Symbol.asyncDispose]())

describe('a body', () => {
  const send = async (head: string, body: string) =>
    await exchange(edge.url, [Buffer.from(`${head}\r\nhost: edge\r\nconnection: close\r\n${body}`)], {
      after: 'end',
    })

  test.for(['content-length: 100\r\n\r\n{"data":{', 'transfer-encoding: chunked\r\n\r\nfff\r\n{"data":{'])(
    "behavior: that breaks off is the client's mistake: %j",
    async half => {
      const response = await send('POST /api/jobs HTTP/1.1', half)
      expect(response?.status).toBe(400)
      const error = 'The request body broke off'
      expect(JSON.parse(response?.text ?? '')).toEqual({ code: 'invalid_request', error, params: {} })
    },
  )

  test.for(['content-length: 2\r\n\r\n{}', 'transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'])(
    'behavior: of a request that has none is not looked at: %j',
    async body => {
      const authorization = `authorization: Bearer ${adminToken}`
      const response = await send(`GET /admin/runners HTTP/1.1\r\n${authorization}`, body)
      expect(response?.status).toBe(200)
    },
  )
})
