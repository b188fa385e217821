import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { type Server, startServer } from './server.ts'

/** Clients that leave in the middle: whoever comes after them must not notice. */

/** `GET /resources` of a client that waits for a runner, which has been asked and does not answer. */
async function askResources(server: Server, runner: TestRunner) {
  // What the edge knows of its runners may be a second old.
  const isReady = async () => (await fetch(`${server.url}/ready`)).status
  await expect.poll(isReady, { timeout: 10_000 }).toBe(200)
  const sent = request(`${server.url}/resources`, { agent: false })
  const closed = new Promise<void>(resolve => sent.once('close', resolve))
  sent.on('error', () => undefined)
  sent.end()
  const body = { instance: runner.instance, holding: [], mode: 'run', wait_ms: 5_000 }
  const orders = (await (await runner.post('/runner/control', body)).json()) as { questions: unknown[] }
  expect(orders.questions).toHaveLength(1)
  return { sent, closed }
}

describe.each(['node', 'deno'])('on %s', host => {
  test('behavior: a client that leaves while /resources waits holds nobody up', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const { sent, closed } = await askResources(server, runner)
    sent.socket?.resetAndDestroy()
    await closed
    const startedAt = performance.now()
    // More than one, since the first may overtake the news of the reset.
    for (let asked = 0; asked < 20; asked += 1) await (await fetch(`${server.url}/health`)).text()
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test.for([300, 500_000])(
    "behavior: a body that breaks off after %d bytes is the client's affair: nothing is logged",
    { timeout: 60_000 },
    async bytes => {
      const server = await startServer(host)
      const socket = connect(server.port, '127.0.0.1')
      const closed = once(socket, 'close')
      socket.write(
        'POST /api/jobs HTTP/1.1\r\nhost: edge\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n',
      )
      await once(socket, 'data')
      await new Promise(resolve =>
        socket.write(`{"containers":["echo"],"data":"${'x'.repeat(bytes)}`, resolve),
      )
      socket.resetAndDestroy()
      await closed
      // Whatever the upload has left behind ends before the process does.
      server.child.kill('SIGTERM')
      expect(await server.exited).toEqual({ code: 0, signal: null })
      expect(server.output()).not.toContain('Request failed')
    },
  )

  test('behavior: SIGTERM answers /resources with what has been said', { timeout: 60_000 }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const { sent } = await askResources(server, runner)
    const status = new Promise(resolve => sent.once('response', ({ statusCode }) => resolve(statusCode)))
    const startedAt = performance.now()
    server.child.kill('SIGTERM')
    expect(await status).toBe(200)
    expect(await server.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })
})
