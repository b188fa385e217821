import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import type { Config } from '../../src/runner/config/config.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import type { Containers } from '../../src/runner/containers.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { askEngine } from '../../src/runner/docker/json.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { lessReserve } from '../../src/runner/docker/usual-memory.ts'
import type { Fleet } from '../../src/runner/fleet.ts'
import { buildImage, docker, reachable, removeContainers } from './docker.ts'
import { keepFleet } from './kept.ts'
import { eventually, setup } from './setup.ts'
import { spawnMain } from './spawn.ts'

const image = `infernet-runner-test:${process.pid}`
const started = new Set<string>()

const program = `process.on('SIGTERM', () => process.exit(0))
  console.log('to stdout')
  console.error('to stderr')
  require('http').createServer((q, r) => {
    if (process.argv[2] === 'mute') return
    if (process.env.COG) return r.end(JSON.stringify({ status: process.env.COG, setup: { logs: 'no weights' } }))
    let b = ''
    q.on('data', c => { b += c }).on('end', () => {
      r.setHeader('content-type', 'application/json')
      r.end(JSON.stringify({ said: process.env.SAY, args: process.argv.slice(2), body: b }))
    })
  }).listen(process.env.PORT || 3000)`

describe.skipIf(!reachable)('docker', () => {
  beforeAll(() => buildImage(image, program))
  afterAll(async () => {
    await removeContainers(started)
    docker(['rmi', '-f', image])
  })

  /** Keeps the containers of a config until the test ends; gives what a runner would see of them. */
  async function keep(
    containers: object[],
    spool: string,
  ): Promise<{
    config: Config
    seen: Containers
    fleet: Fleet
    end: () => Promise<void>
    said: () => string[]
  }> {
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, spool, containers })
    const { config } = parseConfig(source, { path: '/config.json', env: {} })
    started.add(scopeOf(config))
    const { seen, fleet, end, logged } = await keepFleet(config)
    return { config, seen, fleet, end, said: () => logged.map(({ event }) => event) }
  }

  const healthOf = (containers: Containers, id: string) => containers.get(id)?.health

  test('default: made, probed, and called; taken over when equal, replaced when not', async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const port = await freePort()
    const entry = { id: 'one', image, port, env: { SAY: 'hello' }, command: "-- 'a b'" }
    const first = await keep([entry], spool)
    await eventually(() => healthOf(first.seen, 'one') === 'ready')
    expect(first.seen.get('one')?.baseUrl).toBe(`http://127.0.0.1:${port}`)
    const name = nameOf(scopeOf(first.config), 'one')
    const [made] = JSON.parse(docker(['inspect', name]))
    expect(made.HostConfig).toMatchObject({
      PortBindings: { '3000/tcp': [{ HostIp: '127.0.0.1', HostPort: String(port) }] },
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
      SecurityOpt: ['no-new-privileges'],
      Memory: lessReserve(Number(docker(['info', '-f', '{{.MemTotal}}']))),
      MemorySwap: -1,
    })
    const answer = await fetch(`http://127.0.0.1:${port}/service_output`, { method: 'POST', body: '{}' })
    expect(await answer.json()).toEqual({ said: 'hello', args: ['--', 'a b'], body: '{}' })
    await first.end()
    expect(docker(['inspect', '-f', '{{.State.Running}}', name])).toBe('false')

    const second = await keep([entry], spool)
    await eventually(() => healthOf(second.seen, 'one') === 'ready')
    expect(docker(['inspect', '-f', '{{.Id}}', name])).toBe(made.Id)
    await second.end()

    // As of a process that was killed.
    docker(['start', name])
    const since = String(Date.now() / 1000)
    const third = await keep([{ ...entry, env: { SAY: 'bye' }, limits: { memory: 'unlimited' } }], spool)
    await eventually(() => healthOf(third.seen, 'one') === 'ready')
    expect(docker(['inspect', '-f', '{{.Id}}', name])).not.toBe(made.Id)
    expect(docker(['inspect', '-f', '{{.HostConfig.Memory}}', name])).toBe('0')
    expect(third.said()).toContain('Replacing container, its configuration has changed')
    const events = ['events', '--since', since, '--until', String(Date.now() / 1000)]
    const ended = docker([...events, '--filter', `container=${made.Id}`, '--format', '{{json .}}']).split(
      '\n',
    )
    const attributes = ended.map(line => JSON.parse(line)).filter(({ Action }) => /kill|die/.test(Action))
    // SIGTERM alone, and it has ended by itself.
    expect(attributes.map(({ Actor }) => Actor.Attributes.signal ?? Actor.Attributes.exitCode)).toEqual([
      '15',
      '0',
    ])
    await third.end()
  })

  test('behavior: what an earlier process has left and nobody wants goes before anything is started', {
    timeout: 60_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const port = await freePort()
    const first = await keep([{ id: 'old', image, port }], spool)
    await eventually(() => healthOf(first.seen, 'old') === 'ready')
    await first.end()
    const scope = scopeOf(first.config)
    const filter = ['--filter', `label=infernet.runner=${scope}`]
    const containers = () => docker(['ps', '-a', ...filter, '--format', '{{.Names}}'])
    const networks = () => docker(['network', 'ls', ...filter, '--format', '{{.Name}}'])
    // As of a process that was killed.
    docker(['start', nameOf(scope, 'old')])
    const second = await keep([{ id: 'new', image, port }], spool)
    await eventually(() => healthOf(second.seen, 'new') === 'ready')
    expect(second.seen.get('new')?.baseUrl).toBe(`http://127.0.0.1:${port}`)
    expect(containers()).toBe(nameOf(scope, 'new'))
    await eventually(() => networks() === nameOf(scope, 'new'))
    await second.end()

    const none = await keep([], spool)
    await eventually(() => containers() === '')
    await none.end()
    expect(networks()).toBe('')
  })

  test('behavior: one that is not ours is never touched, whatever its name; who has no name says so until it is free', {
    timeout: 60_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const nobody = await keep([], spool)
    await nobody.end()
    const scope = scopeOf(nobody.config)
    const [one, other] = [nameOf(scope, 'one'), `${nameOf(scope, 'one')}-other`]
    const foreign = docker(['run', '-d', '--name', one, image])
    onTestFinished(() => void docker(['rm', '-f', foreign]))
    const isUp = () => docker(['inspect', '-f', '{{.State.Running}}', foreign]) === 'true'
    const entry = { id: 'one', image, port: await freePort() }
    const first = await keep([entry], spool)
    await eventually(() => healthOf(first.seen, 'one') === 'unhealthy')
    expect(first.seen.get('one')).toMatchObject({
      cause: { code: 'container_unavailable' },
      detail: expect.stringContaining(`rename it (docker rename ${one} OTHER)`),
    })
    // As one that is not wanted any more, and at the end.
    await first.fleet.apply({ ...first.config, containers: [] })
    await first.end()
    expect(isUp()).toBe(true)

    const second = await keep([entry], spool)
    await eventually(() => healthOf(second.seen, 'one') === 'unhealthy')
    docker(['rename', one, other])
    await eventually(() => healthOf(second.seen, 'one') === 'ready')
    await second.end()
    expect(isUp()).toBe(true)
  })

  test('behavior: one of an image that was committed of ours, with its labels, is never touched', {
    timeout: 60_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const first = await keep([{ id: 'one', image, port: await freePort() }], spool)
    await eventually(() => healthOf(first.seen, 'one') === 'ready')
    const scope = scopeOf(first.config)
    const copied = `${image}-copied`
    docker(['commit', nameOf(scope, 'one'), copied])
    onTestFinished(() => void docker(['rmi', '-f', copied]))
    const copy = docker(['run', '-d', copied])
    onTestFinished(() => void docker(['rm', '-f', copy]))
    const states = () =>
      docker(['ps', '-a', '--filter', `label=infernet.runner=${scope}`, '--format', '{{.State}}'])
    expect(states()).toBe('running\nrunning')
    await first.fleet.apply({ ...first.config, containers: [] })
    expect(states()).toBe('running')
    await first.end()
    // As what an earlier process has left.
    const second = await keep([], spool)
    await second.end()
    expect(states()).toBe('running')
  })

  test('behavior: a taken port is replaced by a free one; one bad container holds up no other', async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    const taken = (blocker.address() as { port: number }).port
    const { seen, end, said } = await keep(
      [
        { id: 'good', image, port: taken },
        { id: 'mute', image, port: await freePort(), command: 'mute', start_timeout: 0.3 },
        { id: 'absent', image: '127.0.0.1:1/none:none', port: await freePort() },
      ],
      spool,
    )
    await eventually(
      () =>
        ['mute', 'absent'].every(id => healthOf(seen, id) === 'unhealthy') &&
        healthOf(seen, 'good') === 'ready',
    )
    expect(seen.get('good')?.baseUrl).not.toBe(`http://127.0.0.1:${taken}`)
    expect(said()).toContain('The port of a container is taken, using another')
    expect(seen.get('mute')?.detail).toContain('It did not answer HTTP on port 3000 within 0.3 s')
    expect(seen.get('absent')?.detail).toContain('Could not pull image 127.0.0.1:1/none:none')
    await end()
  })

  test('behavior: the engine is asked for the GPUs that a container gets', async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const entries = [[0, 'GPU-1c'], true, false].map((gpu, index) => ({
      id: `g${index}`,
      image,
      gpu,
    }))
    const { config, seen, end } = await keep(entries, spool)
    await eventually(() => entries.every(({ id }) => healthOf(seen, id) !== 'starting'))
    const requested = entries.map(({ id }) => {
      const [made] = JSON.parse(docker(['inspect', nameOf(scopeOf(config), id)]))
      return made.HostConfig.DeviceRequests?.map(
        ({ Count, DeviceIDs, Capabilities }: Record<string, unknown>) => ({ Count, DeviceIDs, Capabilities }),
      )
    })
    const Capabilities = [['gpu']]
    expect(requested).toEqual([
      [{ Count: 0, DeviceIDs: ['0', 'GPU-1c'], Capabilities }],
      [{ Count: -1, DeviceIDs: null, Capabilities }],
      undefined,
    ])
    await end()
  })

  test('behavior: a job goes through a container that the runner started, and the runner stops it', async () => {
    const { edge, embed, directory } = await setup()
    const port = await freePort()
    const runner = await embed({
      manage_containers: true,
      containers: [{ id: 'one', image, port, env: { SAY: 'hi' } }],
    })
    const scope = scopeOf({ spool: { directory: join(directory, '.infernet-runner') } } as Config)
    started.add(scope)
    await runner.ready
    const { id } = edge.enqueue({ containers: ['one'], data: '{"x": 1}' })
    const report = await edge.reported(id)
    expect(JSON.parse(report.resultText)).toMatchObject({ container: 'one', output: { said: 'hi' } })
    expect(report.images).toEqual({ one: docker(['inspect', '-f', '{{.Id}}', image]) })
    await runner.drain()
    expect(docker(['inspect', '-f', '{{.State.Running}}', nameOf(scope, 'one')])).toBe('false')
  })

  test('behavior: a container may listen on another port inside', async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const port = await freePort()
    const entry = { id: 'one', image, port, inner_port: 3001, env: { PORT: '3001', SAY: 'inside' } }
    const { seen, end } = await keep([entry], spool)
    await eventually(() => healthOf(seen, 'one') === 'ready')
    const answer = await fetch(`http://127.0.0.1:${port}/service_output`, { method: 'POST', body: '{}' })
    expect(await answer.json()).toMatchObject({ said: 'inside' })
    await end()
  })

  test("behavior: a container of Cog's kind whose setup failed is told with its log, stopped, and tried again", async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const entry = { id: 'one', image, port: await freePort(), api: 'cog', inner_port: 3000 }
    const failed = await keep([{ ...entry, env: { COG: 'SETUP_FAILED' } }], spool)
    await eventually(() => healthOf(failed.seen, 'one') === 'unhealthy')
    expect(failed.seen.get('one')?.detail).toBe('SETUP_FAILED: no weights')
    const name = nameOf(scopeOf(failed.config), 'one')
    const startedAt = () => docker(['inspect', '-f', '{{.State.StartedAt}}', name])
    const first = startedAt()
    await expect.poll(startedAt).not.toBe(first)
    await failed.end()
    const well = await keep([{ ...entry, env: { COG: 'READY' } }], spool)
    await eventually(() => healthOf(well.seen, 'one') === 'ready')
    await well.end()
  })

  test('behavior: what a container has written can be read, each stream where it belongs', async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const { seen, config, end } = await keep([{ id: 'one', image, port: await freePort() }], spool)
    await eventually(() => healthOf(seen, 'one') === 'ready')
    const path = join(tmpdir(), `infernet-docker-${randomUUID()}.json`)
    onTestFinished(() => rm(path))
    const edge = { url: 'http://edge', key_file: 'key' }
    await writeFile(path, JSON.stringify({ edge, spool, containers: [{ id: 'one', image }] }))
    const shown = spawnMain(['logs', 'one', '--config', path])
    const heard = { stdout: '', stderr: '' }
    for (const to of ['stdout', 'stderr'] as const)
      shown.child[to]?.on('data', chunk => {
        heard[to] += chunk
      })
    expect((await shown.exited).code).toBe(0)
    expect(heard).toEqual({ stdout: 'to stdout\n', stderr: 'to stderr\n' })
    const following = spawnMain(['logs', 'one', '-f', '--tail', '1', '--config', path])
    onTestFinished(() => void following.child.kill('SIGKILL'))
    await following.said('to std')
    docker(['stop', '-t', '1', nameOf(scopeOf(config), 'one')])
    expect((await following.exited).code).toBe(0)
    await end()
  })

  test('behavior: the engine is spoken to in its own version', async () => {
    const engine = createEngine(process.env.DOCKER_HOST)
    const { ApiVersion } = await askEngine(
      engine,
      { method: 'GET', path: '/version' },
      v.object({ ApiVersion: v.string() }),
    )
    expect(ApiVersion).toMatch(/^1\.\d+$/)
    await engine.close()
  })
})
