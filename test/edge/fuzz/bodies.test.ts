import { once } from 'node:events'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { limits } from '../../../src/protocol/limits.ts'
import { adminToken } from '../../support/edge.ts'
import { ask, plainRefusal } from './ask.ts'
import type { Operation } from './document.ts'
import { runs, timeout } from './runs.ts'
import { exchange, open, piecesOf, type WireRequest } from './wire.ts'
import { startWorld } from './world.ts'

/** Bodies that are too long, that stop half-way, that take their time, and what is no HTTP at all. */

const world = await startWorld()
afterAll(async () => await world[Symbol.asyncDispose]())

await world.silence()
await world.keep()
const { edge, liar, leases, operations, addresses } = world
const mebibyte = 1024 * 1024
const client = ['cf-connecting-ip', addresses.stranger] as const

/** A request for a route, by who may, that is right but for its body. */
async function requestOf(
  { method, path, parameters, secured }: Operation,
  body: Uint8Array,
): Promise<WireRequest> {
  const values: Record<string, string> = { id: leases[0]!.id, seq: '0', attempt: '1', kind: 'result' }
  const query = parameters.filter(parameter => parameter.in === 'query' && values[parameter.name] && secured)
  const token = secured === 'admin' ? adminToken : await liar.token()
  return {
    method,
    target:
      path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? name) +
      (query.length > 0 ? `?${query.map(({ name }) => `${name}=${values[name]}`).join('&')}` : ''),
    headers: [
      ['content-type', 'application/json'],
      client,
      ...(secured ? [['authorization', `Bearer ${token}`] as const] : []),
    ],
    body,
    framing: 'length',
  }
}

const jobOf = (x: string) => `{"containers":["echo"],"data":{"x":"${x}"}}`
const tooLong = Buffer.from(jobOf('x'.repeat(17 * mebibyte)))
const length = (bytes: number) => ['content-length', String(bytes)] as const
const named = operations.map(operation => [`${operation.method} ${operation.path}`, operation] as const)
const bodied = named.filter(([, { method, path }]) => method !== 'GET' && path !== '/runner/jobs/{id}/stream')

describe('17 MiB', () => {
  test.for(named)(
    'behavior: announced or in chunks, %s takes none of it',
    { timeout },
    async ([, operation]) => {
      const authorized = operation.secured !== null
      const bytes = operation.path.endsWith('batch') ? Buffer.concat([Buffer.from('['), tooLong]) : tooLong
      const request = await requestOf(operation, bytes.subarray(0, 1))
      const announced = {
        ...request,
        framing: 'none' as const,
        headers: [...request.headers, length(bytes.byteLength)],
      }
      const { response, body } = await ask(world, announced, { authorized })
      // The bound of an upload of a stream is another one, and nothing of it is read whole.
      if (['GET', 'DELETE'].includes(operation.method) || operation.path === '/runner/jobs/{id}/stream')
        return
      expect(response.status).toBe(413)
      // OpenAI's shape has no place for it.
      const { params = { limit: limits.bodyBytes } } = body as { params?: { limit: number } }
      const over = { ...request, body: bytes.subarray(0, params.limit + 1), framing: 'chunked' as const }
      // An input is stored in parts as it comes.
      const asked = await ask(world, over, { authorized, maxStatements: 80 })
      expect(asked.response.status).toBe(413)
      const before = await world.stored()
      // Of a body that goes on after its refusal the refusal may not be heard.
      const heard = await exchange(edge.url, piecesOf({ ...over, body: bytes }))
      if (heard !== null) expect(heard.status).toBe(413)
      await expect.poll(async () => (await world.stored()).all).toBe(before.all)
    },
  )
})

describe('half a body', () => {
  const half = (list: boolean) => Buffer.from(`${list ? '[' : ''}${jobOf('x'.repeat(100))}`.slice(0, 60))

  test.for(bodied)('behavior: %s refuses it as broken, whoever still listens', async ([, operation]) => {
    const body = half(operation.path.endsWith('batch'))
    const request = await requestOf(operation, body)
    const length: WireRequest = {
      ...request,
      framing: 'none',
      headers: [...request.headers, ['content-length', '100']],
    }
    const chunked: WireRequest = {
      ...request,
      framing: 'none',
      headers: [...request.headers, ['transfer-encoding', 'chunked']],
      body: Buffer.concat([Buffer.from('80\r\n'), body]),
    }
    for (const broken of [length, chunked]) {
      const response = await exchange(edge.url, piecesOf(broken), { after: 'end' })
      // The platform may also just hang up. Nobody reads what comes with a DELETE, or after a refusal.
      if (response === null || operation.method === 'DELETE') continue
      expect(response.status, response.text).toBe(400)
      const refusal = plainRefusal(operation.path, JSON.parse(response.text)) as { code: string }
      expect(refusal.code).toMatch(/^(invalid_request|malformed_json)$/)
    }
  })

  test.for(bodied.filter(([, { method, path }]) => path.startsWith('/api/jobs') && method !== 'DELETE'))(
    'behavior: %s forgets the input of a client that left',
    async ([, operation]) => {
      const before = await world.stored()
      const list = operation.path.endsWith('batch') ? '[' : ''
      const request = await requestOf(operation, Buffer.from(list + jobOf('x'.repeat(600_000)).slice(0, -3)))
      const target =
        operation.method === 'PUT' ? '/api/jobs/01890000-0000-7000-8000-000000000001' : request.target
      const socket = open(edge.url)
      const headers = [...request.headers, ['content-length', '700000'] as const]
      for (const piece of piecesOf({ ...request, target, headers, framing: 'none' })) socket.write(piece)
      const receiving = async () => await world.db.orm.all(`select id from jobs where state = 'receiving'`)
      await expect.poll(receiving).toHaveLength(1)
      socket.destroy()
      await expect.poll(async () => (await world.stored()).all).toBe(before.all)
    },
  )
})

describe('a slow body', () => {
  test('behavior: is taken for what it is, and nobody waits for it meanwhile', { timeout }, async () => {
    const place = fc.array(fc.nat(), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(
        place,
        fc.constantFrom('length' as const, 'chunked' as const),
        async (cuts, framing) => {
          const text = Buffer.from(jobOf('é🦜\\u0000'.repeat(40)))
          const places = [0, ...cuts.map(cut => cut % text.length), text.length].toSorted((a, b) => a - b)
          const pieces = places.slice(1).map((end, index) => text.subarray(places[index], end))
          const socket = open(edge.url)
          const head = piecesOf({
            method: 'POST',
            target: '/api/jobs',
            headers: [
              client,
              framing === 'length'
                ? ['content-length', String(text.length)]
                : ['transfer-encoding', 'chunked'],
            ],
            body: Buffer.alloc(0),
            framing: 'none',
          })
          for (const piece of head) socket.write(piece)
          for (const piece of pieces.filter(({ length }) => length > 0)) {
            socket.write(
              framing === 'length'
                ? piece
                : Buffer.concat([
                    Buffer.from(`${piece.length.toString(16)}\r\n`),
                    piece,
                    Buffer.from('\r\n'),
                  ]),
            )
            expect((await edge.request('/health')).status).toBe(200)
          }
          if (framing === 'chunked') socket.write('0\r\n\r\n')
          const [answer] = (await once(socket, 'data')) as [Buffer]
          socket.destroy()
          expect(answer.toString()).toMatch(/^HTTP\/1.1 200 OK/)
          const [job] = await world.db.orm.all<{ data: string }>(
            `select data from jobs where owner = 'ip:${addresses.stranger}'`,
          )
          expect(job?.data).toBe(text.toString().slice(30, -1))
          await world.tidy()
        },
      ),
      runs(10),
    )
  })
})

describe('what is no HTTP', () => {
  const line = fc.constantFrom(
    'GET / HTTP/1.1',
    'POST /api/jobs HTTP/1.1',
    'FOO / HTTP/1.1',
    'GET  / HTTP/9.9',
    'GET /é HTTP/1.1',
    'GET',
    '',
  )
  const field = fc.constantFrom(
    ...[
      'host: edge',
      'content-length: -1',
      'content-length: 1e3',
      'content-length: 5\r\ncontent-length: 6',
      'transfer-encoding: gzip, chunked',
    ],
    ...[
      'transfer-encoding: chunked\r\ncontent-length: 3',
      'no colon',
      ': no name',
      'a\0b: c',
      `long: ${'x'.repeat(70_000)}`,
      'expect: 100-continue',
      'upgrade: websocket\r\nconnection: upgrade',
    ],
  )
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
    fc
      .tuple(
        line,
        fc.array(field, { maxLength: 3 }),
        fc.constantFrom('', '{}', 'ZZ\r\n', '-1\r\nx\r\n', 'ffffffffffffffffff\r\n'),
      )
      .map(([first, fields, body]) =>
        Buffer.from(`${[first, ...fields].join('\r\n')}\r\n\r\n${body}`, 'latin1'),
      ),
  )

  test('behavior: is no reason to fall over, or to store anything', { timeout }, async () => {
    await fc.assert(
      fc.asyncProperty(garbage, async bytes => {
        const before = await world.stored()
        const response = await exchange(edge.url, [bytes], { after: 'end' })
        if (response !== null)
          expect([200, 400, 404, 405, 413, 414, 426, 431, 501]).toContain(response.status)
        expect((await edge.request('/health')).status).toBe(200)
        expect((await world.stored()).all).toBe(before.all)
      }),
      runs(60),
    )
  })
})
