import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { dockerTls } from '../../src/runner/docker/tls.ts'

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
