import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createAdmin } from '../../src/client/admin.ts'
import { createClient } from '../../src/client/client.ts'
import { generateKey } from '../../src/runner/key/generate.ts'
import { dataOf, json, serve } from '../runner/serve.ts'
import { spawnMain } from '../runner/spawn.ts'
import { adminToken } from '../support/edge.ts'
import { policyOf, startTestRunner } from '../support/runner.ts'
import { main, root, start, startServer, temporaryFolder } from './server.ts'

/** `npm run serve` as its operator runs it. */

describe.each(['node', 'deno'])('on %s', host => {
  test('default: serves, with a database in a file', { timeout: 60_000 }, async () => {
    const { url } = await startServer(host)
    const runner = await startTestRunner({ url }, [policyOf('echo')])
    await expect
      .poll(async () => await (await fetch(`${url}/ready`)).json(), { timeout: 10_000 })
      .toMatchObject({ ready: true })
    const waiting = runner.claim({ wait_ms: 20_000 })
    const client = createClient({ url })
    const { id } = await client.createJob({ containers: ['echo'], data: {} })
    expect(await waiting).toMatchObject([{ id }])
  })

  test('behavior: the database, and what lies beside it, is for its owner alone', {
    timeout: 60_000,
  }, async () => {
    const { database } = await startServer(host)
    const files = readdirSync(dirname(database))
    expect(files).toContain('edge.db-wal')
    for (const file of files) expect(statSync(join(dirname(database), file)).mode & 0o077).toBe(0)
  })

  test('behavior: a job that was answered with an id is there after kill -9', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const client = createClient({ url: server.url })
    const { id } = await client.createJob({ containers: ['echo'], data: {} })
    server.child.kill('SIGKILL')
    await server.exited
    await server.restart()
    expect(await runner.claim()).toMatchObject([{ id }])
  })

  test('behavior: SIGTERM ends a claim that waits, and the process, with 0', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const waiting = runner.claim({ wait_ms: 20_000 })
    // The claim has been taken when a later request is answered; that it waits cannot be seen from outside.
    await (await fetch(`${server.url}/health`)).text()
    await new Promise(resolve => setTimeout(resolve, 200))
    const startedAt = performance.now()
    server.child.kill('SIGTERM')
    expect(await waiting).toEqual([])
    expect(await server.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  test('behavior: a neighbour on this machine needs no token to write a status', {
    timeout: 60_000,
  }, async () => {
    const { url } = await startServer(host)
    const body = '{"id":"by-hand","status":"success","containers":[]}'
    expect((await fetch(`${url}/api/status`, { method: 'PUT', body })).status).toBe(200)
  })

  test('behavior: what a proxy passes on that no setting names is nobody in particular', {
    timeout: 60_000,
  }, async () => {
    const server = await startServer(host)
    const runner = await startTestRunner(server, [policyOf('echo')])
    const body = '{"id":"by-hand","status":"success","containers":[]}'
    for (const name of ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']) {
      const put = { method: 'PUT', body, headers: { [name]: '192.0.2.1' } }
      expect((await fetch(`${server.url}/api/status`, put)).status).toBe(403)
    }
    const forwarded = createClient({ ...server, headers: { 'x-forwarded-for': '192.0.2.1' } })
    const { id } = await forwarded.createJob({ containers: ['echo'], data: {} })
    await expect(createClient(server).getJob(id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await runner.claim()).toMatchObject([{ id }])
    expect(server.output().split('A proxy is in front')).toHaveLength(2)
  })

  test('behavior: a port that is taken is named, 75', { timeout: 60_000 }, async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await new Promise(resolve => taken.once('listening', resolve))
    const address = taken.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const DATABASE_URL = `file:${join(temporaryFolder(), 'edge.db')}`
    const env = { ORIGIN: 'http://127.0.0.1:1', DATABASE_URL }
    const spawned = start(host, ['--port', String(port), '--migrate'], env)
    expect(await spawned.exited).toEqual({ code: 75, signal: null })
    expect(spawned.output()).toContain(`Port ${port} of 127.0.0.1 is taken`)
  })

  test('behavior: a database that was not migrated is told, 78', { timeout: 60_000 }, async () => {
    const DATABASE_URL = `file:${join(temporaryFolder(), 'edge.db')}`
    const spawned = start(host, ['--port', '0'], { ORIGIN: 'http://127.0.0.1:1', DATABASE_URL })
    expect(await spawned.exited).toEqual({ code: 78, signal: null })
    expect(spawned.output()).toContain('start with --migrate')
  })
})

test('behavior: what is missing or wrong in the environment is told together, 78', async () => {
  const spawned = start('node', [], { ORIGIN: 'nowhere', ADMIN_TOKEN: 'short' })
  expect(await spawned.exited).toEqual({ code: 78, signal: null })
  for (const name of ['ORIGIN', 'DATABASE_URL', 'ADMIN_TOKEN']) expect(spawned.output()).toContain(name)
  expect(spawned.output()).not.toContain('short')
})

test('behavior: a proxy with TLS in front must be told of, 78', async () => {
  const spawned = start('node', [], { ORIGIN: 'https://edge.test', DATABASE_URL: 'file:x.db' })
  expect(await spawned.exited).toEqual({ code: 78, signal: null })
  expect(spawned.output()).toContain('CLIENT_IP_HEADER')
})

test('behavior: behind TLS a neighbour may be anyone, and needs a token', { timeout: 60_000 }, async () => {
  const { url } = await startServer('node', { ORIGIN: 'https://edge.test', CLIENT_IP_HEADER: 'socket' })
  const body = '{"id":"by-hand","status":"success","containers":[]}'
  expect((await fetch(`${url}/api/status`, { method: 'PUT', body })).status).toBe(403)
})

test('behavior: a database that is migrated apart is for its owner alone, too', async () => {
  const database = join(temporaryFolder(), 'edge.db')
  const migrated = spawnMain([`file:${database}`], {}, join(root, 'src/edge/db/migrate.ts'))
  expect(await migrated.exited).toEqual({ code: 0, signal: null })
  expect(statSync(database).mode & 0o077).toBe(0)
})

test.each([[['--host', 'bun']], [['--port', 'x']], [['--nothing']]])('behavior: 64 for %j', async args => {
  const spawned = spawnMain(args, {}, main)
  expect(await spawned.exited).toEqual({ code: 64, signal: null })
})

test('behavior: a runner works through it, from the container to the client', {
  timeout: 60_000,
}, async () => {
  const { url } = await startServer('node')
  const folder = temporaryFolder()
  const container = await serve(({ body }, response) => json(response, dataOf(body).toString()))
  onTestFinished(() => container.close())
  const key = await generateKey(join(folder, 'runner.pem'))
  await createAdmin({ url, token: adminToken }).enrolRunner({ name: 'test', public_key: key.publicKey })
  const config = {
    edge: { url, key_file: 'runner.pem' },
    manage_containers: false,
    containers: [{ id: 'echo', url: container.url }],
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  const runner = spawnMain(['run', '--config', join(folder, 'config.json')])
  onTestFinished(() => void runner.child.kill('SIGKILL'))
  const data = { text: 'x'.repeat(300_000) }
  const client = createClient({ url })
  await expect
    .poll(async () => (await client.info()).containers.map(({ id }) => id), { timeout: 20_000 })
    .toEqual(['echo'])
  const { id } = await client.createJob({ containers: ['echo'], data })
  const job = await client.waitForJob(id, { timeoutMs: 20_000 })
  expect(job).toMatchObject({ state: 'success', result: { output: data } })
})
