import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Agent } from 'undici'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Config } from '../../src/runner/config/config.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { type Containers, createContainers } from '../../src/runner/containers.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { freePort } from '../../src/runner/docker/free-port.ts'
import { askEngine } from '../../src/runner/docker/json.ts'
import { keepContainer, scopeOf, stopContainers } from '../../src/runner/docker/keep.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { eventually, setup } from './setup.ts'

/** The real engine. Without one these tests are skipped, but not in CI, where one is promised. */
const reachable = engineAnswers()
if (!reachable && process.env.CI === 'true') throw new Error('No Docker engine answers, and CI must have one')
if (!reachable) console.log('Docker tests are skipped: no engine answers')

const image = `infernet-runner-test:${process.pid}`
const started = new Set<string>()

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

function engineAnswers(): boolean {
  try {
    return docker('version', '--format', '{{.Server.Version}}') !== ''
  } catch {
    return false
  }
}

/** An image from nothing: this Node, the libraries it is linked to, and an echo server. */
async function build(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-image-'))
  const linked = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+(?= \()/g) ?? []
  for (const path of linked) {
    await mkdir(join(directory, 'root', dirname(path)), { recursive: true })
    await copyFile(path, join(directory, 'root', path))
  }
  await copyFile(process.execPath, join(directory, 'root', 'node'))
  await writeFile(
    join(directory, 'root', 'echo.js'),
    `process.on('SIGTERM', () => process.exit(0))
    require('http').createServer((q, r) => {
      if (process.argv[2] === 'mute') return
      let b = ''
      q.on('data', c => { b += c }).on('end', () => {
        r.setHeader('content-type', 'application/json')
        r.end(JSON.stringify({ said: process.env.SAY, args: process.argv.slice(2), body: b }))
        if (b.includes('"die"')) setTimeout(() => process.exit(0), 20)
      })
    }).listen(3000)`,
  )
  await writeFile(
    join(directory, 'Dockerfile'),
    'FROM scratch\nCOPY root /\nENTRYPOINT ["/node", "/echo.js"]\n',
  )
  docker('build', '-q', '-t', image, directory)
  await rm(directory, { recursive: true })
}

describe.skipIf(!reachable)('docker', () => {
  beforeAll(build, 60_000)
  afterAll(() => {
    for (const scope of started) {
      const ids = docker('ps', '-aq', '--filter', `label=infernet.runner=${scope}`)
        .split('\n')
        .filter(Boolean)
      if (ids.length > 0) docker('rm', '-f', ...ids)
    }
    docker('rmi', '-f', image)
  })

  /** Keeps the containers of a config until the test ends; gives what a runner would see of them. */
  async function keep(
    containers: object[],
    spool: string,
  ): Promise<{ config: Config; seen: Containers; end: () => Promise<void>; events: string[] }> {
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, spool, containers })
    const { config } = parseConfig(source, { path: '/config.json', env: {} })
    started.add(scopeOf(config))
    const controller = new AbortController()
    const agent = new Agent()
    const engine = createEngine(undefined)
    const seen = createContainers(config.containers)
    const events: string[] = []
    const say = (event: string) => void events.push(event)
    const log = { debug: say, info: say, warn: say, error: say }
    const options = { engine, config, containers: seen, agent, log, signal: controller.signal }
    const kept = config.containers.map(container => keepContainer(options, container))
    const end = async () => {
      controller.abort()
      await stopContainers(options, 0)
      await Promise.all(kept)
      await Promise.all([agent.destroy(), engine.close()])
    }
    return { config, seen, end, events }
  }

  const healthOf = (containers: Containers, id: string) => containers.get(id)?.health

  test('default: made, probed, and called; taken over when equal, replaced when not', {
    timeout: 30_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const port = await freePort()
    const entry = { id: 'one', image, port, env: { SAY: 'hello' }, command: "-- 'a b'" }
    const first = await keep([entry], spool)
    await eventually(() => healthOf(first.seen, 'one') === 'ready')
    expect(first.seen.get('one')?.baseUrl).toBe(`http://127.0.0.1:${port}`)
    const name = nameOf(scopeOf(first.config), 'one')
    const [made] = JSON.parse(docker('inspect', name))
    expect(made.HostConfig).toMatchObject({
      PortBindings: { '3000/tcp': [{ HostIp: '127.0.0.1', HostPort: String(port) }] },
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 5 },
      SecurityOpt: ['no-new-privileges'],
    })
    const answer = await fetch(`http://127.0.0.1:${port}/service_output`, { method: 'POST', body: '{}' })
    expect(await answer.json()).toEqual({ said: 'hello', args: ['--', 'a b'], body: '{}' })
    await first.end()
    expect(docker('inspect', '-f', '{{.State.Running}}', name)).toBe('false')

    const second = await keep([entry], spool)
    await eventually(() => healthOf(second.seen, 'one') === 'ready')
    expect(docker('inspect', '-f', '{{.Id}}', name)).toBe(made.Id)
    await second.end()

    const third = await keep([{ ...entry, env: { SAY: 'bye' } }], spool)
    await eventually(() => healthOf(third.seen, 'one') === 'ready')
    expect(docker('inspect', '-f', '{{.Id}}', name)).not.toBe(made.Id)
    expect(third.events).toContain('Replacing container, its configuration has changed')
    await third.end()
  })

  test('behavior: a taken port is replaced by a free one; one bad container holds up no other', {
    timeout: 30_000,
  }, async () => {
    const spool = join(tmpdir(), `infernet-docker-${randomUUID()}`)
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void blocker.close())
    const taken = (blocker.address() as { port: number }).port
    const { seen, end, events } = await keep(
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
    expect(events).toContain('The port of a container is taken, using another')
    expect(seen.get('mute')?.detail).toBe('It did not answer HTTP on port 3000 within 0.3 s')
    expect(seen.get('absent')?.detail).toContain('Could not pull image 127.0.0.1:1/none:none')
    await end()
  })

  test('behavior: a job goes through a container that the runner started, and the runner stops it', {
    timeout: 30_000,
  }, async () => {
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
    await runner.drain()
    expect(docker('inspect', '-f', '{{.State.Running}}', nameOf(scope, 'one'))).toBe('false')
  })

  test('behavior: the engine is spoken to in its own version', async () => {
    const engine = createEngine(undefined)
    const { ApiVersion } = await askEngine(
      engine,
      { method: 'GET', path: '/version' },
      v.object({ ApiVersion: v.string() }),
    )
    expect(ApiVersion).toMatch(/^1\.\d+$/)
    await engine.close()
  })
})
