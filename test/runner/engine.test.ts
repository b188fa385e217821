import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { inspect, stop } from '../../src/runner/docker/container.ts'
import { causeOfDeath } from '../../src/runner/docker/death.ts'
import { createEngine, type Engine } from '../../src/runner/docker/engine.ts'
import { createEvents } from '../../src/runner/docker/events.ts'
import { tellEngine } from '../../src/runner/docker/json.ts'
import { createLog } from '../../src/runner/log.ts'
import { startFakeEngine } from './fake-engine.ts'
import { eventually, setup } from './setup.ts'

async function start() {
  const real = AbortSignal.timeout
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(ms => real(ms / 10))
  onTestFinished(() => void timeout.mockRestore())
  const fake = await startFakeEngine()
  const engine = createEngine(fake.dockerHost)
  onTestFinished(() => engine.close())
  return { fake, engine, timeout }
}

test('behavior: an engine that hangs while a container is stopped is given up, twenty seconds after its grace', async () => {
  const { fake, engine, timeout } = await start()
  fake.state.hangs = ({ path }) => path !== '/version'
  await expect(stop(engine, 'one', { graceSeconds: 5 })).rejects.toMatchObject({
    code: 'undead',
    message: expect.stringContaining('Container one was told to stop, and killed, and runs on'),
    cause: { name: 'TimeoutError' },
  })
  expect(timeout.mock.calls.map(([ms]) => ms)).toEqual([15_000, 5_000, 5_000, 5_000])
})

test('behavior: a container that does not stop is killed, and that is enough', async () => {
  const { fake, engine } = await start()
  await fake.run('one')
  fake.state.hangs = ({ path }) => path.includes('/stop')
  await stop(engine, 'one', { graceSeconds: 5 })
  expect(fake.asked('/kill')).toHaveLength(1)
  expect(fake.running()).toEqual([])
})

test('behavior: one that survives its kill is undead; one that ended by itself is not', async () => {
  const { fake, engine } = await start()
  await fake.run('one')
  fake.state.refuses = ({ path }) =>
    /stop|kill/.test(path) ? 'tried to kill container, but did not receive an exit event' : null
  await expect(stop(engine, 'one', { graceSeconds: 5 })).rejects.toMatchObject({
    code: 'undead',
    cause: { message: 'tried to kill container, but did not receive an exit event' },
  })
  await fake.end('one')
  await stop(engine, 'one', { graceSeconds: 5 })
  await stop(engine, 'unknown', { graceSeconds: 5 })
})

test('behavior: no engine at all is no undead container', async () => {
  const { fake, engine } = await start()
  await fake.close()
  await expect(stop(engine, 'one', { graceSeconds: 5 })).rejects.not.toHaveProperty('code', 'undead')
})

describe('an engine that is upgraded', () => {
  const newer = { Version: '29.0.0', ApiVersion: '1.52', MinAPIVersion: '1.44' }
  const ping = (engine: Engine) => tellEngine(engine, { method: 'GET', path: '/_ping' })

  test('behavior: is spoken to in its new version when it speaks the old one no more', async () => {
    const { fake, engine } = await start()
    await ping(engine)
    fake.state.version = newer
    await ping(engine)
    expect(fake.asked('/_ping').map(({ path }) => path)).toEqual([
      '/v1.43/_ping',
      '/v1.43/_ping',
      '/v1.44/_ping',
    ])
    // What is refused for another reason is not asked twice.
    await expect(tellEngine(engine, { method: 'GET', path: '/networks/no' })).rejects.toThrow(
      'No such network',
    )
    expect(fake.asked('/networks/no')).toHaveLength(1)
  })

  test('behavior: is met anew when it has hung up', async () => {
    const { fake, engine } = await start()
    expect(await engine.version()).toBe('28.3.1')
    const controller = new AbortController()
    const { signal } = controller
    const events = createEvents({
      engine,
      scope: 's',
      log: createLog({ write() {}, format: 'json' }),
      signal,
    })
    const listening = events.listen()
    await eventually(() => events.gaps() === 1)
    fake.state.version = { ...newer, MinAPIVersion: '1.24' }
    fake.hangUp()
    await eventually(() => events.gaps() === 3)
    expect(await engine.version()).toBe('29.0.0')
    controller.abort()
    await listening
  })
})

test('behavior: an engine that ends its events at once is asked for them ever later, until they have gone on for a while', async () => {
  const { fake, engine } = await start()
  const random = vi.spyOn(Math, 'random').mockReturnValue(1)
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const controller = new AbortController()
  const { signal } = controller
  onTestFinished(() => {
    controller.abort()
    random.mockRestore()
    timers.mockRestore()
  })
  const events = createEvents({ engine, scope: 's', log: createLog({ write() {}, format: 'json' }), signal })
  void events.listen()
  const waits = () => timers.mock.calls.flatMap(([, ms = 0]) => ([200, 400, 800].includes(ms) ? [ms] : []))
  async function hangUp() {
    const gaps = events.gaps()
    fake.hangUp()
    await eventually(() => events.gaps() === gaps + 2)
  }
  await eventually(() => events.gaps() === 1)
  await hangUp()
  await hangUp()
  await hangUp()
  expect(waits()).toEqual([200, 400, 800])
  // As when these are over.
  timers.mock.calls.findLast(([, ms]) => ms === 5_000)?.[0]()
  await hangUp()
  expect(waits()).toEqual([200, 400, 800, 200])
})

test('behavior: with pull always its image is pulled at start and at a reload, not after a crash', async () => {
  const fake = await startFakeEngine()
  const { embed, directory, edge } = await setup()
  const entry = { id: 'one', image: 'i', port: await freePort(), pull: 'always' }
  const runner = await embed(
    { manage_containers: true, containers: [entry] },
    { dockerHost: fake.dockerHost },
  )
  const pulls = () => fake.asked('/images/create').length
  const isReady = () => edge.health()[0]?.health === 'ready'
  await runner.ready
  expect(pulls()).toBe(1)
  const [name = ''] = fake.running()
  await fake.end(name)
  await eventually(() => fake.running().length === 1)
  await eventually(isReady)
  expect(fake.asked('/start')).toHaveLength(2)
  expect(pulls()).toBe(1)
  const source = { edge: { url: edge.url, key_file: 'runner.key' }, containers: [entry] }
  const path = join(directory, 'config.json')
  runner.reload(parseConfig(JSON.stringify(source), { path, env: {} }).config)
  await eventually(() => pulls() === 2)
})

test('behavior: when its disk is full who has written most is made anew, and nobody where that would not help', {
  timeout: 60_000,
}, async () => {
  const fake = await startFakeEngine()
  const { embed, directory, edge } = await setup()
  const fitnessPace = { fitMs: 50, unfitMs: 50 }
  const containers = [
    { id: 'some', image: 'i', port: await freePort() },
    { id: 'most', image: 'i', port: await freePort() },
  ]
  const source = (minFree: number) => ({
    edge: { url: edge.url, key_file: 'runner.key' },
    min_free_disk: minFree,
    containers,
  })
  const runner = await embed(
    { ...source(0), manage_containers: true },
    { dockerHost: fake.dockerHost, fitnessPace },
  )
  await runner.ready
  const reload = (minFree: number) => {
    const path = join(directory, 'config.json')
    runner.reload(parseConfig(JSON.stringify(source(minFree)), { path, env: {} }).config)
  }
  const removed = () => fake.asked('force=true').map(({ path }) => path)
  const measured = () => fake.asked('size=1').length
  const job = edge.enqueue({ containers: ['most'], data: '"hang"' })
  await eventually(() => job.started)

  // More than any disk has, and than these could give back.
  reload(2 ** 50)
  await eventually(() => measured() > 4)
  expect(removed()).toEqual([])

  const full: Record<string, number> = { some: 2 ** 49, most: 2 ** 50 }
  fake.state.written = name => full[name.split('-').at(-1) ?? ''] ?? 0
  expect(await edge.reported(job.id)).toMatchObject({
    error_code: 'disk_limit',
    resultText: expect.stringContaining(
      "Docker's disk is full, and of all containers it has written most: 1125899906842624 bytes",
    ),
  })
  fake.state.written = () => 0
  const made = () => fake.asked('/create?').filter(({ path }) => path.endsWith('-most')).length
  await eventually(() => made() === 2)
  expect(removed()).toEqual([expect.stringMatching(/^\/v[\d.]+\/containers\/id-\d\?force=true&v=true$/)])
  reload(0)
  await eventually(() => edge.health().every(({ health }) => health === 'ready'))
})

test('behavior: who has filled its disk and crashed of that makes way as well, though nothing starts it any more', async () => {
  const fake = await startFakeEngine()
  const { embed } = await setup()
  fake.state.written = () => 2 ** 50
  fake.state.refuses = ({ path }) => (path.endsWith('/start') ? 'no space left on device' : null)
  const containers = [{ id: 'one', image: 'i', port: await freePort() }]
  await embed(
    { manage_containers: true, min_free_disk: 2 ** 50, containers },
    { dockerHost: fake.dockerHost, fitnessPace: { fitMs: 50, unfitMs: 50 } },
  )
  await eventually(() => fake.asked('?force=true').length > 0)
})

test('behavior: a job that such a container still has is told so before its files are gone', async () => {
  const fake = await startFakeEngine()
  const { embed, edge, directory, logged } = await setup()
  const containers = [{ id: 'one', image: 'i', port: await freePort() }]
  const source = { edge: { url: edge.url, key_file: 'runner.key' }, containers }
  const runner = await embed(
    { ...source, manage_containers: true, min_free_disk: 0 },
    { dockerHost: fake.dockerHost, fitnessPace: { fitMs: 50, unfitMs: 50 } },
  )
  await runner.ready
  const job = edge.enqueue({ containers: ['one'], data: '"hang"' })
  await eventually(() => job.started)
  const path = join(directory, 'config.json')
  runner.reload(parseConfig(JSON.stringify({ ...source, min_free_disk: 2 ** 50 }), { path, env: {} }).config)
  // It runs on, and the engine does not say so.
  await eventually(() => fake.asked('size=1').length > 0)
  fake.state.refuses = ({ path }) => (path.endsWith('-one/json') ? 'database is locked' : null)
  fake.hangUp()
  await eventually(() => logged.some(({ event }) => event.startsWith('Starting container one failed')))
  fake.state.before = async ({ method }) => {
    if (method !== 'DELETE') return
    for (const name of fake.running()) await fake.end(name)
    await edge.reported(job.id)
  }
  fake.state.written = () => 2 ** 50
  expect(await edge.reported(job.id)).toMatchObject({ error_code: 'disk_limit' })
})

describe('what an engine refuses', () => {
  const secrets = ['hunter2', 'sk-live "x"', '/srv/customers/acme', '/data']

  test.each([
    ['make', '/containers/create'],
    ['start', '/start'],
  ])(
    'behavior: to %s: the edge is told that it does, the log why, nobody what stays on the host',
    async (what, path) => {
      const fake = await startFakeEngine()
      fake.state.refuses = asked =>
        asked.path.includes(path)
          ? `exec: "API_TOKEN=hunter2": not found; KEY=${JSON.stringify(secrets[1])}; /srv/customers/acme:/data: bad mount`
          : null
      const { edge, embed, logged } = await setup()
      const entry = {
        id: 'one',
        image: 'i',
        port: await freePort(),
        command: 'API_TOKEN=hunter2 serve',
        env: { KEY: secrets[1] },
        volumes: [`${secrets[2]}:${secrets[3]}`],
      }
      const config = { manage_containers: true, containers: [entry] }
      const runner = await embed(config, { dockerHost: fake.dockerHost })
      const failure = () =>
        logged.find(({ event }) => event === 'Starting container one failed, trying again')
      await eventually(failure)
      await eventually(() => runner.status()?.containers[0]?.health === 'unhealthy')
      const said = `Docker does not ${what} it (status 500); its runner's log says why`
      expect(runner.status()?.containers).toMatchObject([{ detail: expect.stringContaining(said) }])
      expect(failure()?.fields.error).toBe(`${said}: exec: "***": not found; KEY="***"; ***: bad mount`)
      await eventually(() => edge.health()[0]?.health === 'unhealthy')
      expect(edge.health()).toMatchObject([
        { code: 'container_unavailable', detail: expect.stringContaining(said) },
      ])
      for (const secret of secrets) expect(JSON.stringify(logged)).not.toContain(secret)
    },
  )
})
test('behavior: an engine that hangs with a question is given up, and asked the next one', async () => {
  const { fake, engine } = await start()
  await fake.run('one')
  fake.state.hangs = ({ path }) => path.endsWith('/json')
  await expect(inspect(engine, 'one')).rejects.toThrow(
    "Docker's engine has not answered GET /containers/one/json within 30 s",
  )
  fake.state.hangs = () => false
  expect((await inspect(engine, 'one'))?.State.Running).toBe(true)
})

test.for([
  { why: 'nothing is heard of it', exit: 137, code: 'oom_killed' },
  { why: 'it was long ago, and heard', exit: 137, agoMs: 3_600_000, heardMs: 7_200_000, code: 'exited' },
  { why: 'it takes its time to go', exit: 137, agoMs: 30_000, heardMs: 7_200_000, code: 'oom_killed' },
  { why: 'the engine was deaf since', exit: 137, agoMs: 3_600_000, heardMs: 1_000, code: 'oom_killed' },
  { why: 'it ends right after it', exit: 3, agoMs: 1_000, heardMs: 7_200_000, code: 'oom_killed' },
  { why: 'it goes on after it', exit: 3, agoMs: 30_000, code: 'exited' },
  { why: 'it was before anything was heard', exit: 3, heardMs: 7_200_000, code: 'exited' },
  { why: 'it may be just now', exit: 3, heardMs: 1_000, code: 'oom_killed' },
  { why: 'the engine is not heard', exit: 3, code: 'oom_killed' },
])('behavior: out of memory, ended with $exit, $why: $code', async ({ exit, agoMs, heardMs, code }) => {
  const { engine } = await start()
  const before = (ms: number) => performance.now() - ms
  const found = {
    Id: 'one',
    State: { Running: false, Paused: false, ExitCode: exit, OOMKilled: true, StartedAt: '' },
    NetworkSettings: { Networks: {} },
    Config: { Labels: {} },
    HostConfig: { Memory: 0, PortBindings: {} },
  }
  const heard = {
    outOfMemoryAt: agoMs === undefined ? undefined : before(agoMs),
    since: heardMs === undefined ? null : before(heardMs),
  }
  expect(await causeOfDeath(engine, found, heard)).toMatchObject({ code })
})
