import { readFileSync } from 'node:fs'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { cert, key } from './self-signed.ts'
import { echo, json } from './serve.ts'
import { eventually, setup } from './setup.ts'

/** `ca.pem` has signed `server-cert.pem`, for 127.0.0.1. */
const pathOf = (name: string) => fileURLToPath(new URL(`./tls/${name}`, import.meta.url))
const signed = {
  cert: readFileSync(pathOf('server-cert.pem'), 'utf8'),
  key: readFileSync(pathOf('server-key.pem'), 'utf8'),
}

function listening(server: ReturnType<typeof createServer>): Promise<number> {
  onTestFinished(() => void server.close())
  return new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
  )
}

/** What a runner says of a container elsewhere that it does not get through to. */
async function detailOf(url: string, rest: object = {}): Promise<unknown> {
  const { embed, logged } = await setup()
  await embed({ containers: [{ id: 'one', url, bearer: 'secret', ...rest }] })
  const told = () => logged.find(({ event }) => event.startsWith('A container does not answer HTTP yet'))
  await eventually(told)
  expect(JSON.stringify(logged)).not.toContain('secret')
  return told()?.fields.detail
}

describe('containers elsewhere', () => {
  test('default: the health path is theirs to choose, and is asked with the bearer', async () => {
    const { edge, embed, container } = await setup()
    let loading = 2
    const served = await container((call, response) => {
      if (call.url === '/base/ready?x=1') json(response, '{}', --loading > 0 ? 503 : 200)
      else echo(call, response)
    })
    const entry = { id: 'one', url: `${served.url}/base`, bearer: 'secret', health: '/ready?x=1' }
    const runner = await embed({ containers: [entry] })
    await runner.ready
    const asked = served.calls.map(({ url, headers }) => [url, headers.authorization])
    expect(asked).toEqual([
      ['/base/ready?x=1', 'Bearer secret'],
      ['/base/ready?x=1', 'Bearer secret'],
    ])
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    expect((await edge.reported(id)).status).toBe('success')
  })

  test('behavior: a certificate of a private authority is believed where NODE_EXTRA_CA_CERTS names it, and nowhere else', async () => {
    const { edge, spawn, container } = await setup()
    const { url, calls } = await container((call, response) => {
      if (call.url === '/ready') json(response, '{}')
      else if (call.body.includes('"destination": 2'))
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n')
      else echo(call, response)
    }, signed)
    const config = { containers: [{ id: 'one', url, bearer: 'secret', health: '/ready' }] }
    const distrustful = await spawn(config)
    await distrustful.said('TLS: UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    distrustful.child.kill('SIGTERM')
    await distrustful.exited
    expect(calls).toEqual([])

    // Node reads it when it starts, and never again.
    await spawn(config, { env: { NODE_EXTRA_CA_CERTS: pathOf('ca.pem') } })
    const job = edge.enqueue({ containers: ['one'], data: '{"a": 1.0}' })
    expect((await edge.reported(job.id)).resultText).toBe('{"container":"one","output":{"a": 1.0}}')
    const stream = edge.enqueue({ containers: ['one'], data: '2', destination: 2 })
    expect((await edge.reported(stream.id)).status).toBe('success')
    expect(edge.streams.bytes(stream.id).toString()).toBe('data: 1\n\n')
    const asked = calls.map(({ url, headers }) => [url, headers.authorization])
    expect(asked).toEqual([
      ['/ready', 'Bearer secret'],
      ['/service_output', 'Bearer secret'],
      ['/service_output', 'Bearer secret'],
    ])
  })

  test('behavior: a certificate that nobody vouches for is told as that', async () => {
    const server = createSecureServer({ cert, key }, (_, response) => response.end())
    const port = await listening(server)
    expect(await detailOf(`https://127.0.0.1:${port}`)).toBe('TLS: DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  test('behavior: no TLS where it is expected', async () => {
    const port = await listening(createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    expect(await detailOf(`https://127.0.0.1:${port}`)).toMatch(/^TLS: (EPROTO|ERR_SSL_\w+)$/)
  })

  test('behavior: a handshake that does not end is given up in the time for it', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const port = await listening(createServer(socket => void sockets.add(socket.on('error', () => {}))))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    const begun = performance.now()
    expect(await detailOf(`https://127.0.0.1:${port}`, { connect_timeout: 0.5 })).toBe(
      'UND_ERR_CONNECT_TIMEOUT',
    )
    // A probe of its own would take 5 s, and the usual time is 10 s.
    expect(performance.now() - begun).toBeLessThan(4_500)
  })

  test('behavior: neither a job nor the bearer follows a redirect to another origin', async () => {
    const { edge, embed, container } = await setup()
    const other = await container(echo)
    const served = await container((_, response) =>
      response.writeHead(307, { location: `${other.url}/service_output` }).end(),
    )
    const runner = await embed({ containers: [{ id: 'one', url: served.url, bearer: 'secret' }] })
    await runner.ready
    const { id } = edge.enqueue({ containers: ['one'], data: '1' })
    expect((await edge.reported(id)).error_code).toBe('redirect_refused')
    expect(other.calls).toEqual([])
  })
})
