import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import type { TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success } from '../support/runner.ts'
import { streamed } from '../support/stream.ts'
import { asEvents, createStreams } from '../support/streams.ts'
import { type Server, startServer } from './server.ts'

/** SIGTERM, with requests in hand. */

const body = JSON.stringify({ containers: ['echo'], data: { text: 'x'.repeat(1_000) } })
/** A second signal within a second of the first may be its echo. */
const echoMs = 1_000

/** A job whose second half has not been sent, and which the edge has begun to read. */
async function halfSend(server: Server): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.write('POST /api/jobs HTTP/1.1\r\nhost: edge\r\nexpect: 100-continue\r\n')
  socket.write(`content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toContain('100 Continue')
  socket.write(body.slice(0, body.length / 2))
  return socket
}

describe.each(['node', 'deno'])('on %s', host => {
  test('behavior: a job that is on its way at SIGTERM is stored and answered', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const socket = await halfSend(server)
    server.child.kill('SIGTERM')
    await server.said('Edge ends')
    const answered = once(socket, 'data')
    socket.write(body.slice(body.length / 2))
    const [answer] = await answered
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /)
    const [, id] = /"id":"([^"]+)"/.exec(String(answer)) ?? []
    expect(await server.exited).toEqual({ code: 0, signal: null })
    await server.restart()
    expect(await runner.claim()).toMatchObject([{ id }])
    expect(await createClient(server).getJob(id ?? '')).toMatchObject({ state: 'running' })
  })

  test('behavior: a stream goes on in the next process, and what was cut off does not look like its end', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const edge = {
      url: server.url,
      request: async (path: string) => await fetch(new URL(path, server.url)),
    } as TestEdge
    const { begin, resume, upload: open, read } = createStreams(edge, runner)
    const { client, job, upload } = await begin({ first: 'one ' })
    const other = await resume(job.id, { headers: asEvents })
    await other.until(text => text.includes('one '))
    server.child.kill('SIGTERM')
    expect(await Promise.all([client.ended, other.ended])).toEqual([false, false])
    expect(other.text()).not.toContain('event: error')
    upload.destroy()
    expect(await server.exited).toEqual({ code: 0, signal: null })
    await server.restart()
    expect(await read(job.id)).toMatchObject({ state: 'running' })
    const again = await resume(job.id, { query: '?from=4' })
    // A runner asks how far the edge is, and sends the rest, or all of it again.
    const next = await open(job)
    next.write('one two')
    await again.until(text => text === 'two')
    await next.end()
    await runner.report([streamed(job, { bytes: 7 })])
    expect(await again.ended).toBe(true)
  })

  test('behavior: a chat that waits is told to ask again, and its key finds the job in the next process', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('chat', { openai: true })])
    const ask = () =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'idempotency-key': 'chat' },
        body: '{"model":"chat","messages":[]}',
      })
    const asked = ask()
    const [job] = await runner.claim({ wait_ms: 10_000 })
    if (!job) throw new Error('Nothing to claim')
    server.child.kill('SIGTERM')
    const answer = await asked
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { code: 'closing' } }])
    expect(await server.exited).toEqual({ code: 0, signal: null })
    await server.restart()
    await runner.report([success(job, '{"choices":[]}')])
    const again = await ask()
    expect(again.headers.get('infernet-job')).toBe(job.id)
    expect(await again.json()).toEqual({ choices: [] })
  })

  test('behavior: a client that sends no more holds up the end for 8 s, and it is 0', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    await startTestRunner(server, [policyOf('echo')])
    await halfSend(server)
    const startedAt = performance.now()
    server.child.kill('SIGTERM')
    expect(await server.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - startedAt).toBeLessThan(12_000)
    expect(server.output()).not.toContain('BadResource')
  })

  test('behavior: a second signal does not wait for what is in hand', { timeout: 60_000 }, async () => {
    const server = await startServer(host)
    await startTestRunner(server, [policyOf('echo')])
    await halfSend(server)
    const startedAt = performance.now()
    const again = setInterval(() => server.child.kill('SIGTERM'), 100)
    onTestFinished(() => clearInterval(again))
    expect(await server.exited).toEqual({ code: 1, signal: null })
    expect(performance.now() - startedAt).toBeGreaterThan(echoMs)
    expect(performance.now() - startedAt).toBeLessThan(4_000)
  })
})

test('behavior: requests that were sent one after another on a connection are all answered', {
  timeout: 60_000,
}, async () => {
  const server = await startServer('node')
  await startTestRunner(server, [policyOf('echo')])
  const { id } = await createClient(server).createJob({ containers: ['echo'], data: {} })
  const socket = connect(server.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const request = `GET /api/jobs/${id}?wait=20 HTTP/1.1\r\nhost: edge\r\n\r\n`
  let answered = ''
  socket.on('data', text => (answered += text))
  const closed = once(socket, 'close')
  await new Promise(resolve => socket.write(request.repeat(3), resolve))
  // Taken later than those, and answered earlier.
  await (await fetch(`${server.url}/health`)).text()
  server.child.kill('SIGTERM')
  await closed
  expect(answered.match(/HTTP\/1\.1 200/g)).toHaveLength(3)
  expect(answered.match(/connection: close/gi)).toHaveLength(1)
  expect(await server.exited).toEqual({ code: 0, signal: null })
})
