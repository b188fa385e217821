import { execFileSync } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { mayChangeNetwork } from '../../src/runner/confine/capability.ts'
import { sleep } from '../../src/runner/sleep.ts'
import { startFakeEngine } from './fake-engine.ts'
import { keepFleet } from './kept.ts'
import { eventually, hurry, setup } from './setup.ts'

/** Two containers, for an engine that does what it is told to. */
async function start() {
  const engine = await startFakeEngine()
  const kit = await setup()
  const containers = await Promise.all(
    ['one', 'two'].map(async id => ({ id, image: 'i', egress: 'none', port: await freePort() })),
  )
  return { ...kit, engine, containers }
}

test('behavior: the end while the spool is read: nothing is begun, and what the last runner has left is stopped', async () => {
  const { engine, embed, spawn, directory, containers } = await start()
  const config = { manage_containers: true, containers }
  const last = await embed({ ...config, keep_running: true }, { dockerHost: engine.dockerHost })
  await last.ready
  await last.stop()
  expect(engine.running()).toHaveLength(2)
  // Read for as long as somebody writes it.
  const batch = join(directory, '.infernet-runner/batches/0')
  execFileSync('mkfifo', [batch])
  const { child, said, exited } = await spawn(config, { env: { DOCKER_HOST: engine.dockerHost } })
  const writing = await open(batch, 'w')
  child.kill('SIGTERM')
  await said('Draining')
  await writing.close()
  expect(await exited).toMatchObject({ code: 0 })
  expect(engine.running()).toEqual([])
  expect(engine.asked('/start')).toHaveLength(2)
})

describe('the end while containers are stopped', () => {
  test('behavior: what an engine fails is tried again, and what is left is named', async () => {
    const { engine, embed, containers, logged } = await start()
    const config = { manage_containers: true, containers }
    const runner = await embed(config, { dockerHost: engine.dockerHost })
    await runner.ready
    let refused = 0
    engine.state.refuses = ({ path }) =>
      /id-\d+\/(stop|kill|json)/.test(path) && refused++ < 6 ? 'database is locked' : null
    await runner.drain()
    expect(engine.running()).toEqual([])

    engine.state.refuses = () => null
    const second = await embed(config, { dockerHost: engine.dockerHost })
    await second.ready
    const one = engine.idOf(engine.running().find(name => name.endsWith('-one')) ?? '')
    engine.state.refuses = ({ path }) => (path.includes(`/${one}/`) ? 'database is locked' : null)
    await second.stop()
    expect(logged.filter(({ event }) => event.includes('may run on'))).toMatchObject([
      { level: 'warn', fields: { container: 'one', error: 'database is locked' } },
    ])
  })

  test('behavior: what an engine does not list is told to stop all the same', async () => {
    const { engine, embed, containers } = await start()
    const runner = await embed({ manage_containers: true, containers }, { dockerHost: engine.dockerHost })
    await runner.ready
    engine.state.hangs = ({ path }) => path.includes('/containers/json')
    hurry()
    await runner.stop()
    expect(engine.asked('/stop')).toHaveLength(2)
    expect(engine.running()).toEqual([])
  })

  test('behavior: a second order to end before a container is told to stop leaves it a second', async () => {
    const { engine, embed, containers } = await start()
    const starting = Promise.withResolvers<void>()
    engine.state.before = async ({ path }) => {
      if (path.endsWith('/start')) await starting.promise
    }
    const runner = await embed({ manage_containers: true, containers }, { dockerHost: engine.dockerHost })
    await eventually(() => engine.asked('/start').length === 2)
    const orders = [runner.drain(), runner.stop(), runner.stop()]
    starting.resolve()
    await Promise.all(orders)
    expect(engine.asked('/stop').map(({ path }) => path.replace(/^.*\?/, ''))).toEqual(['t=1', 't=1'])
    expect(engine.asked('/kill')).toEqual([])
    expect(engine.running()).toEqual([])
  })

  test('behavior: a second order to end kills what is being stopped', async () => {
    const { engine, embed, containers } = await start()
    const runner = await embed({ manage_containers: true, containers }, { dockerHost: engine.dockerHost })
    await runner.ready
    engine.state.hangs = ({ path }) => path.includes('/stop')
    const ended = runner.drain()
    await eventually(() => engine.asked('/stop').length === 2)
    expect(engine.asked('/kill')).toEqual([])
    await runner.stop()
    expect(engine.running()).toEqual([])
    await ended
  })
})

test('behavior: a configuration that comes while the runner ends begins nothing', async () => {
  const { engine, edge, embed, directory, containers, logged } = await start()
  const [one, two] = containers
  const config = { manage_containers: true, drain_timeout: 4 }
  const runner = await embed({ ...config, containers: [one] }, { dockerHost: engine.dockerHost })
  await runner.ready
  const job = edge.enqueue({ containers: ['one'], data: '"hang"' })
  await eventually(() => edge.jobs.get(job.id)?.started)
  const ended = runner.drain()
  const before = engine.asked('').length
  const next = { ...config, containers: [{ ...one, image: 'other' }, two] }
  const source = JSON.stringify({ edge: { url: edge.url, key_file: 'runner.key' }, listen: '', ...next })
  runner.reload(parseConfig(source, { path: join(directory, 'config.json'), env: {} }).config)
  expect(logged.at(-1)).toMatchObject({
    level: 'warn',
    event: 'The runner ends: its configuration takes effect at the next start',
  })
  await ended
  const asked = engine.asked('').slice(before)
  expect(asked.filter(({ path }) => /create|\/start|images/.test(path))).toEqual([])
  expect(engine.running()).toEqual([])
})

describe('the end while containers start', () => {
  test('default: what the engine is starting is waited for and stopped, and nothing is started after', async () => {
    const { engine, embed, containers } = await start()
    let isEnding = false
    const order: string[] = []
    engine.state.before = async ({ path }) => {
      // One is about to be made, the other one about to run.
      if (/create\?name=.*-two$/.test(path)) await eventually(() => isEnding)
      if (path.endsWith('/start')) await sleep(1_000)
      if (/start$|stop/.test(path)) order.push(path.replace(/^.*\/(start|stop).*$/, '$1'))
    }
    const runner = await embed({ manage_containers: true, containers }, { dockerHost: engine.dockerHost })
    await eventually(() => engine.asked('/start').length === 1 && engine.asked('-two').length > 1)
    isEnding = true
    await runner.stop()
    expect(order).toEqual(['start', 'stop', 'stop'])
    expect(engine.running()).toEqual([])
  })

  test.skipIf(!mayChangeNetwork())(
    'behavior: one whose start hangs holds up no end, and keeps its rules',
    async () => {
      const { engine, directory, containers } = await start()
      vi.stubEnv('DOCKER_HOST', engine.dockerHost)
      const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers })
      const { config } = parseConfig(source, { path: `${directory}/config.json`, env: {} })
      engine.state.hangs = ({ path }) => path.endsWith('/start')
      const { scope, logged, end } = await keepFleet(config, { hasInterface: async () => true })
      vi.unstubAllEnvs()
      await eventually(() => engine.asked('/start').length === 2)
      await end()
      expect(execFileSync('iptables-save', { encoding: 'utf8' })).toContain(`INFERNET-${scope}`)
      expect(logged).toContainEqual(expect.objectContaining({ event: 'The firewall rules stay' }))
    },
  )
})
