import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dockerOf } from '../../src/runner/commands/docker.ts'
import type { Container } from '../../src/runner/config/config.ts'
import { addressOf } from '../../src/runner/docker/address.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { generateKey } from '../../src/runner/key/generate.ts'
import { loadKey } from '../../src/runner/key/load.ts'
import { spawnMain } from './spawn.ts'

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'infernet-command-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

async function runMain(args: string[], env = {}) {
  const spawned = spawnMain(args, env)
  const { code } = await spawned.exited
  return { code, output: spawned.output() }
}

describe('keygen', () => {
  test('default: writes a private key for its owner alone and prints the public one', async () => {
    const path = join(await directory(), 'runner.key')
    const { code, output } = await runMain(['keygen', '--out', path])
    expect(code).toBe(0)
    const [, id = '', publicKey = ''] = /runner id: {2}(\S+)\npublic key: (\S+)\n/.exec(output) ?? []
    expect(publicKey).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(id).toBe(await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x: publicKey }))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).toContain('BEGIN PRIVATE KEY')
    expect(await loadKey(path)).toMatchObject({ id, publicKey })
  })

  test('behavior: leaves an existing file alone', async () => {
    const path = join(await directory(), 'runner.jwk')
    expect((await runMain(['keygen', '--out', path])).code).toBe(0)
    const before = await readFile(path, 'utf8')
    expect(JSON.parse(before)).toMatchObject({ kty: 'OKP', crv: 'Ed25519' })
    const { code, output } = await runMain(['keygen', '--out', path])
    expect(code).toBe(1)
    expect(output).toContain('exists already')
    expect(await readFile(path, 'utf8')).toBe(before)
    await loadKey(path)
  })
})

describe('run', () => {
  test('behavior: a key that others can read, and a bad configuration, end with 78', async () => {
    const path = await directory()
    const key = join(path, 'key')
    await runMain(['keygen', '--out', key])
    await chmod(key, 0o644)
    const config = join(path, 'config.json')
    await writeFile(config, JSON.stringify({ edge: { url: 'http://127.0.0.1:1', key_file: 'key' } }))
    const readable = await runMain(['--config', config])
    expect(readable.code).toBe(78)
    expect(readable.output).toContain(
      `edge.key_file: ${key} can be read or changed by every user. Fix: chmod 600 ${key}.`,
    )
    await writeFile(config, JSON.stringify({ containers: [{ id: 'a' }] }))
    const bad = await runMain([], { INFERNET_CONFIG_PATH: config })
    expect(bad.code).toBe(78)
    expect(bad.output.trim().split('\n').length).toBe(2)
  })

  test('behavior: a DOCKER_HOST of ssh:// ends with 78, and doctor says why', async () => {
    const path = await directory()
    await generateKey(join(path, 'key'))
    const config = join(path, 'config.json')
    const edge = { url: 'http://127.0.0.1:1', key_file: 'key' }
    await writeFile(config, JSON.stringify({ edge, containers: [{ id: 'one', image: 'i' }] }))
    const env = { DOCKER_HOST: 'ssh://ann:hunter2@127.0.0.1' }
    const [ran, examined] = await Promise.all([
      runMain(['--config', config], env),
      runMain(['doctor', '--config', config], env),
    ])
    expect([ran.code, examined.code]).toEqual([78, 1])
    expect(examined.output).toMatch(/^FAIL +docker /m)
    for (const { output } of [ran, examined]) {
      expect(output).toContain('DOCKER_HOST begins with ssh://, and')
      expect(output).toContain('an ssh tunnel to its socket (ssh -N -L')
      expect(output).not.toContain('hunter2')
    }
  })

  test.each([
    ['https://127.0.0.1', 'begins with https://'],
    ['127.0.0.1:2375', 'is no address'],
    ['tcp://', 'is no address'],
    ['unix://', 'is no address'],
  ])(
    'behavior: DOCKER_HOST %s is refused where it is used; nobody is asked at a guess',
    async (DOCKER_HOST, what) => {
      const env = { DOCKER_HOST }
      await expect(dockerOf(env, { containers: [{ managed: true } as Container] })).rejects.toThrow(what)
      // A reload may be the first to have any use for it.
      const { dockerHost, dockerTls } = await dockerOf(env, { containers: [] })
      const engine = createEngine(dockerHost, dockerTls)
      await expect(engine.version()).rejects.toThrow(`DOCKER_HOST ${what}`)
      await engine.close()
    },
  )

  test('behavior: DOCKER_HOST with a port is spoken to there, and without one at a port of Docker', () => {
    const hosts = ['tcp://proxy:80', 'tcp://ann:pw@[::1]:443/x', 'tcp://proxy']
    expect(hosts.map(host => addressOf(host, null).origin)).toEqual([
      'http://proxy:80',
      'http://[::1]:443',
      'http://proxy:2375',
    ])
  })

  test('behavior: an unknown command is a mistake of usage', async () => {
    expect((await runMain(['fly'])).code).toBe(64)
  })
})

describe('enrol and revoke', () => {
  test('default: ask the edge with the admin token', async () => {
    const asked: { line: string; authorization: string | undefined; body: string }[] = []
    const server = createServer(async (request: IncomingMessage, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      asked.push({
        line: `${request.method} ${request.url}`,
        authorization: request.headers.authorization,
        body,
      })
      const refused = request.headers.authorization !== 'Bearer admin-token'
      response
        .writeHead(refused ? 401 : 200)
        .end(refused ? '{"error":"No","code":"unauthorized","params":{}}' : '{}')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const key = join(await directory(), 'key')
    await runMain(['keygen', '--out', key])
    const { id, publicKey } = await loadKey(key)

    const env = { ADMIN_TOKEN: 'admin-token' }
    const enrolled = await runMain(['enrol', '--edge', url, '--name', 'gpu-1', '--key', key], env)
    expect(enrolled).toEqual({ code: 0, output: `runner id: ${id}\ngpu-1 is enrolled\n` })
    const revoked = await runMain(['revoke', id, '--edge', url], env)
    expect(revoked).toEqual({ code: 0, output: `${id} is revoked\n` })
    expect(asked).toEqual([
      {
        line: 'POST /admin/runners',
        authorization: 'Bearer admin-token',
        body: JSON.stringify({ name: 'gpu-1', public_key: publicKey }),
      },
      { line: `DELETE /admin/runners/${id}`, authorization: 'Bearer admin-token', body: '' },
    ])
    // Once in 64, an id or a key begins so.
    const dashed = `-${'x'.repeat(41)}A`
    for (const args of [
      [dashed, '--edge', url],
      ['--edge', url, dashed],
      ['--edge', url, '--', dashed],
    ]) {
      expect(await runMain(['revoke', ...args], env)).toEqual({ code: 0, output: `${dashed} is revoked\n` })
      expect(asked.pop()?.line).toBe(`DELETE /admin/runners/${dashed}`)
    }
    await runMain(['enrol', '--edge', url, '--name', 'gpu-2', '--public-key', dashed], env)
    expect(asked.pop()?.body).toBe(JSON.stringify({ name: 'gpu-2', public_key: dashed }))
    const refused = await runMain(['enrol', '--edge', url, '--name', 'x', '--key', key], {
      ADMIN_TOKEN: 'wrong',
    })
    expect(refused).toEqual({ code: 1, output: `runner id: ${id}\nThe edge answered 401: No\n` })
    expect((await runMain(['revoke', id, '--edge', url])).output).toContain('Set ADMIN_TOKEN')
  })
})
