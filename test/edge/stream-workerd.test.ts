import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import { freePort } from '../../src/local/port.ts'
import { adminToken, startDatabase, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner } from '../support/runner.ts'
import { eventsOf, streamed } from '../support/stream.ts'
import { asEvents, createStreams, type Streams, startStreams } from '../support/streams.ts'
import { startWorkerd } from '../support/workerd.ts'

/**
 * What a stream's Worker learns of its client, pinned: what is seen here is what is built upon, and a workerd that behaves otherwise should
 * be noticed. Bare workerd; on Cloudflare a front end stands between it and the client.
 */
describe('a client that goes, on workerd', () => {
  let streams: Streams

  beforeAll(async () => {
    streams = await startStreams()
  })
  afterAll(async () => {
    await streams[Symbol.asyncDispose]()
  })

  /** A client on a bare socket, once its stream has begun. */
  async function connectClient(): Promise<{ socket: Socket; text(): string }> {
    const { hostname, port, host } = new URL(streams.edge.url)
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    const body = JSON.stringify({ containers: ['echo'], data: {} })
    let text = ''
    socket.on('error', () => undefined)
    const begun = new Promise<void>(resolve => {
      socket.on('data', (piece: Buffer) => {
        text += piece.toString('latin1')
        if (/[0-9a-f-]{36}\n/.test(text)) resolve()
      })
    })
    socket.write(
      `POST /api/jobs/stream HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await begun
    return { socket, text: () => text }
  }

  /** How a job stands after so long without a byte, and after bytes have been written. */
  async function seeAfter(leave: (socket: Socket) => void): Promise<{ silent: string; written: string }> {
    const { socket } = await connectClient()
    const job = await streams.claim()
    const upload = await streams.upload(job)
    leave(socket)
    await delay(2_500)
    const silent = (await streams.read(job.id)).state
    // Twice: the first write after a FIN is what makes the other side say that nobody is there.
    for (const text of ['a', 'b']) {
      upload.write(text)
      await delay(200)
    }
    await delay(3_000)
    const written = (await streams.read(job.id)).state
    upload.destroy()
    socket.destroy()
    return { silent, written }
  }

  test('canary: a reset is noticed at once', async () => {
    expect(await seeAfter(socket => socket.resetAndDestroy())).toMatchObject({ silent: 'cancelled' })
  })

  // Seen: nothing happens while nothing is written. In event mode the next comment does that.
  test('canary: a close, which sends a FIN, is noticed when something is written', async () => {
    expect(await seeAfter(socket => socket.destroy())).toEqual({ silent: 'running', written: 'cancelled' })
  })

  // Seen: a client that only says that it has nothing more to send is one that reads on, and is served.
  test('canary: a connection that is half closed is served on', async () => {
    expect(await seeAfter(socket => socket.end())).toEqual({ silent: 'running', written: 'running' })
  })
})

test('behavior: when workerd is killed, relays and all, clients and runners come back and nothing is missing', async () => {
  const database: LibsqlServer = await startDatabase()
  const port = await freePort()
  const vars = { DATABASE_URL: database.url, ADMIN_TOKEN: adminToken, ORIGIN: `http://127.0.0.1:${port}` }
  const first = await startWorkerd({ vars, port })
  const edge = {
    url: first.url,
    request: async (path: string, init?: RequestInit) => await fetch(new URL(path, first.url), init),
  } as TestEdge
  const runner = await startTestRunner(edge, [policyOf('echo')])
  const streams = createStreams(edge, runner)
  const { client, job, upload } = await streams.begin({ headers: asEvents, first: 'one ' })
  process.kill(first.pid, 'SIGKILL')
  expect(await client.ended).toBe(false)
  await expect(upload.answer).rejects.toThrow()
  await first.close()
  const second = await startWorkerd({ vars, port })
  const last = eventsOf(client.text()).at(-1)?.id ?? ''
  const again = await streams.resume(job.id, { headers: { ...asEvents, 'last-event-id': last } })
  const next = await streams.upload(job)
  next.write('one two')
  await again.until(text => text.includes('two'))
  expect((await next.end()).body).toEqual({ have: 7, stop: false })
  await runner.report([streamed(job, { bytes: 7 })])
  await again.ended
  expect(eventsOf(again.text()).map(({ event, id }) => [event, id])).toEqual([
    ['start', null],
    ['output', '7'],
    ['completed', 'end'],
  ])
  await second.close()
  await database.close()
})
