import { readFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { dockerOf } from '../../src/runner/commands/docker.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { dockerTls } from '../../src/runner/docker/tls.ts'
import { buildImage, reachable } from './docker.ts'
import { canStartEngines, createOwnEngine } from './own-engine.ts'
import { cert, key } from './self-signed.ts'
import { setup } from './setup.ts'

/** `ca.pem` has signed both certificates; its own key is gone. */
const folder = fileURLToPath(new URL('./tls', import.meta.url))

const read = (name: string) => readFile(join(folder, name), 'utf8')

/** In front of an engine, as one that listens with `--tlsverify`: nobody comes in without a certificate of the CA. */
async function serveTls(): Promise<string> {
  const [ca, cert, key] = [await read('ca.pem'), await read('server-cert.pem'), await read('server-key.pem')]
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const body = '{"Version":"28.3.1","ApiVersion":"1.51"}'
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    })
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('default: with the certificates of DOCKER_CERT_PATH, as soon as DOCKER_TLS_VERIFY is set', async () => {
  const host = await serveTls()
  expect(await dockerTls({ DOCKER_CERT_PATH: folder })).toBeNull()
  const tls = await dockerTls({ DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder })
  const engine = createEngine(host, tls)
  expect(await engine.version()).toBe('28.3.1')
  await engine.close()
})

test('error: an engine whose certificate nobody of ours has signed; one that is not shown ours; files that are missing', async () => {
  const host = await serveTls()
  const [ca, cert, key] = [await read('ca.pem'), await read('cert.pem'), await read('key.pem')]
  const strange = createEngine(host, { ca: cert, cert, key })
  await expect(strange.version()).rejects.toThrow(/verify|certificate/)
  const anonymous = createEngine(host, { ca, cert: '', key: '' })
  await expect(anonymous.version()).rejects.toThrow()
  await Promise.all([strange.close(), anonymous.close()])
  const empty = await mkdtemp(join(tmpdir(), 'infernet-tls-'))
  onTestFinished(() => rm(empty, { recursive: true }))
  await expect(dockerTls({ DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: empty })).rejects.toMatchObject({
    code: 'ENOENT',
  })
})

test('behavior: certificates that are missing are no reason to speak in the clear, were it after a reload', async () => {
  const heard = Promise.withResolvers<Buffer>()
  const plain = createTcpServer(socket => socket.on('error', () => {}).once('data', heard.resolve))
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void plain.close())
  const DOCKER_HOST = `tcp://127.0.0.1:${(plain.address() as AddressInfo).port}`
  const env = { DOCKER_HOST, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/nowhere' }
  const { dockerHost, dockerTls: none } = await dockerOf(env, { containers: [] })
  const engine = createEngine(dockerHost, none)
  const asked = engine.version().catch(() => {})
  // A TLS handshake.
  expect((await heard.promise)[0]).toBe(0x16)
  await engine.close()
  await asked
})

/** A copy of our certificates with a file in the place of another. */
async function copyWith(name: string, other: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'infernet-tls-'))
  onTestFinished(() => rm(copy, { recursive: true }))
  await cp(folder, copy, { recursive: true })
  await cp(join(folder, other), join(copy, name))
  return copy
}

test.skipIf(!reachable || !canStartEngines)(
  'behavior: a real engine with --tlsverify runs a container that does a job; doctor says whose certificate is not taken',
  { timeout: 60_000 },
  async () => {
    const address = `tcp://127.0.0.1:${await freePort()}`
    const files = { tlscacert: 'ca.pem', tlscert: 'server-cert.pem', tlskey: 'server-key.pem' }
    const paths = Object.entries(files).map(([option, name]) => `--${option}=${join(folder, name)}`)
    const engine = await createOwnEngine(['-H', address, '--tlsverify', ...paths])
    onTestFinished(() => engine.close())
    await engine.start()
    const image = 'infernet-runner-tls'
    const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
    await buildImage(image, program, engine.host)

    const { edge, spawn } = await setup()
    const env = { DOCKER_HOST: address, DOCKER_TLS_VERIFY: '1' }
    const containers = [{ id: 'one', image, port: await freePort(), egress: 'open', env: { SAY: 'hi' } }]
    const config = { manage_containers: true, containers }
    /** What doctor says of the engine. */
    const told = async (certificates: string) => {
      const doctor = { args: ['doctor'], env: { ...env, DOCKER_CERT_PATH: certificates } }
      const { exited, output } = await spawn(config, doctor)
      await exited
      return output()
        .split('\n')
        .filter(line => /^\S+ +(docker|image) {2}/.test(line))
        .join('\n')
    }
    expect(await told(folder)).toMatch(
      /^ok +docker +engine \S+ answers\nok +image +one: infernet-runner-tls is here$/,
    )
    const strange = await told(await copyWith('ca.pem', 'cert.pem'))
    expect(strange).toMatch(/^FAIL +docker +No engine answers at tcp:\S+: .*certificate/)
    // Signed by nobody that the engine knows.
    const unknown = await copyWith('cert.pem', 'cert.pem')
    await writeFile(join(unknown, 'cert.pem'), cert)
    await writeFile(join(unknown, 'key.pem'), key)
    expect(await told(unknown)).toMatch(
      /^FAIL +docker +No engine answers at tcp:\S+: .*DOCKER_CERT_PATH.* has not signed/,
    )
    const none = await copyWith('ca.pem', 'ca.pem')
    await rm(join(none, 'key.pem'))
    expect(await told(none)).toMatch(/^FAIL +docker +.*key\.pem/)

    const running = await spawn(config, { env: { ...env, DOCKER_CERT_PATH: folder } })
    const job = edge.enqueue({ containers: ['one'], data: '{}' })
    expect(JSON.parse((await edge.reported(job.id)).resultText)).toMatchObject({
      container: 'one',
      output: { said: 'hi' },
    })
    running.child.kill('SIGTERM')
    expect((await running.exited).code).toBe(0)
  },
)
