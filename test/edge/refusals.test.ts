import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { host } from '../support/hosts.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { exchange } from './fuzz/wire.ts'

/** What a refusal says, and what it does not. */

const job = '01900000-0000-7000-8000-000000000000'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('office', { allowed_ips: ['192.0.2.0/24'] })])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

describe('a refusal', () => {
  test.for([
    ['/runner/control', { holding: [], mode: 'x\nsecret', wait_ms: 0 }],
    ['/runner/control', { holding: [{ id: 'secret', attempt: 1 }], mode: 'run', wait_ms: 0 }],
    ['/runner/control', { holding: [], mode: 'run', wait_ms: 'secret' }],
    ['/runner/heartbeat', { leases: [], containers: [{ id: 'secret,', health: 'ready' }] }],
    ['/runner/report', { results: [{ id: job, attempt: 1, status: 'x\nsecret' }] }],
  ] as const)('behavior: of %s %j repeats nothing of what was sent', async ([path, body]) => {
    const response = await runner.post(path, { instance: runner.instance, ...body })
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain('secret')
  })

  test('behavior: is short, whatever was sent', async () => {
    const containers = [policyOf('a', { accepted_payments: { ['x'.repeat(100_000)]: '-1' } })]
    const body = { instance: randomUUID(), version: 'x', containers }
    const response = await runner.post('/runner/register', body)
    expect(response.status).toBe(400)
    expect((await response.text()).length).toBeLessThan(400)
  })

  test.for([' ', 'office ', "office {'gpu':'a100'}", 'office,office', "office' or 1 --", ''])(
    'behavior: of a container that no host can have is as of any unknown one: %j',
    async container => {
      const refused = await refusalOf(await edge.create({ containers: [container], data: {} }))
      expect(refused).toMatchObject({ code: 'unsupported_container', params: { container } })
    },
  )

  test('behavior: quotes no more of a container or an address than either could have', async () => {
    const refused = async (container: string, ip: string) =>
      await refusalOf(await edge.create({ containers: [container], data: {} }, { ip }))
    expect(await refused('x'.repeat(60_000), '192.0.2.1')).toMatchObject({
      code: 'unsupported_container',
      params: { container: 'x'.repeat(128) },
    })
    expect(await refused('office', '9'.repeat(4_000))).toMatchObject({
      code: 'not_allowed',
      params: { address: '9'.repeat(128) },
    })
  })
})

// Node and Deno answer some of these by themselves, or hang up: a client that ends its side of the connection has left.
describe.runIf(host === 'workerd')('a body', () => {
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
