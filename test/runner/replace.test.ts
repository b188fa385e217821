import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { startFakeEngine } from './fake-engine.ts'
import { gpuLine, startFakeSmi, uuidOf } from './gpu/fake-smi.ts'
import { eventually, hurry, setup } from './setup.ts'

/** A runner with one container, whose configuration is then another one. */
async function start(container: object, more: object = {}, options: object = {}) {
  const engine = await startFakeEngine()
  const { directory, edge, embed } = await setup()
  const one = { id: 'one', image: 'i', port: await freePort(), ...container }
  const config = { manage_containers: true, drain_timeout: 2, ...more }
  const at = { dockerHost: engine.dockerHost, ...options }
  let runner = await embed({ ...config, containers: [one] }, at)
  await runner.ready
  return {
    engine,
    edge,
    one,
    reload(containers: object[], more: object = {}) {
      const settled = { edge: { url: edge.url, key_file: 'runner.key' }, listen: '' }
      const source = { ...settled, ...config, ...more, containers }
      const path = join(directory, 'config.json')
      runner.reload(parseConfig(JSON.stringify(source), { path, env: {} }).config)
    },
    /** Ends the runner, and begins one with other containers. */
    async restart(containers: object[]) {
      await runner.stop()
      runner = await embed({ ...config, containers }, at)
    },
    told: (id: string) => runner.status()?.containers.find(one => one.id === id),
    nameOf: (id: string) => engine.running().find(name => name.endsWith(`-${id}`)) ?? '',
  }
}

/** What is tried again is at the least wait, a tenth of the usual one's most. */
function retrySoon(): void {
  const random = vi.spyOn(Math, 'random').mockReturnValue(0)
  onTestFinished(() => void random.mockRestore())
}

/** The refusal of an engine that stops, and removes, nothing. */
function refuseStop({ method, path }: { method: string; path: string }): string | null {
  return /stop|kill/.test(path) || method === 'DELETE' ? 'did not receive an exit event' : null
}

describe('a container that is replaced', () => {
  test('default: it is called as it was configured until it is gone; what says only how it is called counts at once', async () => {
    const { engine, edge, one, reload, told } = await start({ pull: 'always' })
    const pulled = Promise.withResolvers<void>()
    const pulls = () => engine.asked('/images/create').length
    engine.state.before = async ({ path }) => {
      if (path.includes('/images/create')) await pulled.promise
    }
    const before = pulls()
    reload([{ ...one, slots: 3 }])
    expect(told('one')).toMatchObject({ health: 'ready', slots: 3 })
    reload([{ ...one, image: 'other', api: 'cog', slots: 8 }])
    reload([{ ...one, image: 'other', api: 'cog', slots: 9 }])
    await eventually(() => pulls() === before + 3)
    expect(told('one')).toMatchObject({ health: 'ready', slots: 3 })
    const { resultText } = await edge.reported(edge.enqueue({ containers: ['one'], data: '1' }).id)
    expect(JSON.parse(resultText)).toEqual({ container: 'one', output: { said: 'hi' } })
    pulled.resolve()
    await eventually(() => told('one')?.slots === 9)
    expect(told('one')?.health).toBe('starting')
  })

  test('behavior: two reloads in a row: what the first one began is called as that says until it is gone', async () => {
    const { engine, one, reload, told } = await start({ pull: 'always' })
    const [second, third] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    engine.state.before = async ({ path }) => {
      if (path.includes('fromImage=second')) await second.promise
      if (path.includes('fromImage=third')) await third.promise
    }
    const pulls = () => engine.asked('fromImage=second').length + engine.asked('fromImage=third').length
    reload([{ ...one, image: 'second', slots: 2 }])
    reload([{ ...one, image: 'third', slots: 3 }])
    await eventually(() => pulls() === 2)
    expect(told('one')).toMatchObject({ health: 'ready', slots: 1 })
    second.resolve()
    await eventually(() => engine.asked('/start').length === 2 && told('one')?.health === 'ready')
    expect(told('one')?.slots).toBe(2)
    third.resolve()
    await eventually(() => engine.asked('/start').length === 3 && told('one')?.health === 'ready')
    expect(told('one')?.slots).toBe(3)
  })

  test('behavior: its GPU is its own until it is gone, and is given to whoever waits for it then', async () => {
    await startFakeSmi([gpuLine(0)])
    const { engine, edge, one, reload, told, nameOf } = await start({ gpu: { count: 1 } })
    const before = nameOf('one')
    const job = edge.enqueue({ containers: ['one'], data: '"hang"' })
    await eventually(() => edge.jobs.get(job.id)?.started)
    const two = { ...one, id: 'two', port: await freePort(), gpu: { count: 1 } }
    reload([{ ...one, gpu: false }, two])
    await eventually(() => told('two') !== undefined && told('two')?.health !== 'starting')
    expect(told('two')?.code).toBe('gpu_unavailable')
    expect(nameOf('one')).toBe(before)
    await eventually(() => told('two')?.health === 'ready')
    expect(engine.requestsOf(nameOf('two'))).toEqual([{ DeviceIDs: [uuidOf(0)], Capabilities: [['gpu']] }])
    expect(engine.requestsOf(nameOf('one'))).toBeUndefined()
  })

  test.each(['is replaced', 'ends'])(
    'behavior: a GPU of one that the last runner has left is its own until it %s',
    async how => {
      retrySoon()
      await startFakeSmi([gpuLine(0)])
      const { engine, one, restart, told, nameOf } = await start(
        { gpu: { count: 1 } },
        { keep_running: true },
      )
      const pulled = Promise.withResolvers<void>()
      engine.state.before = async ({ path }) => {
        if (path.includes('fromImage=other')) await pulled.promise
      }
      const before = nameOf('one')
      const two = { ...one, id: 'two', port: await freePort() }
      await restart([two, { ...one, image: 'other', pull: 'always', gpu: false }])
      await eventually(() => told('two')?.health !== 'starting')
      expect(told('two')?.code).toBe('gpu_unavailable')
      expect(nameOf('one')).toBe(before)
      if (how === 'ends') await engine.end(before)
      else pulled.resolve()
      await eventually(() => told('two')?.health === 'ready')
      expect(engine.requestsOf(nameOf('two'))).toEqual([{ DeviceIDs: [uuidOf(0)], Capabilities: [['gpu']] }])
      pulled.resolve()
      await eventually(() => told('one')?.health === 'ready')
      expect(engine.requestsOf(nameOf('one'))).toBeUndefined()
    },
  )

  test('behavior: GPUs of one that the last runner has left, and of a copy that has its labels, are all in use', async () => {
    await startFakeSmi([gpuLine(0), gpuLine(1)])
    const { engine, one, restart, told, nameOf } = await start({ gpu: { count: 1 } }, { keep_running: true })
    const hold = Promise.withResolvers<void>()
    onTestFinished(() => hold.resolve())
    engine.state.before = async ({ path }) => {
      if (path.includes('fromImage=other')) await hold.promise
    }
    await engine.run('copy', engine.labelsOf(nameOf('one')), { DeviceRequests: [{ DeviceIDs: [uuidOf(1)] }] })
    const two = { ...one, id: 'two', port: await freePort() }
    await restart([two, { ...one, image: 'other', pull: 'always' }])
    await eventually(() => told('two')?.health !== 'starting')
    expect(told('two')?.code).toBe('gpu_unavailable')
  })

  test('behavior: the GPU of a copy that has its labels is not given to the one that it is a copy of', async () => {
    await startFakeSmi([gpuLine(0), gpuLine(1)])
    const { engine, one, restart, told, nameOf } = await start({ gpu: { count: 1 } })
    const id = engine.idOf(nameOf('one'))
    await engine.run('copy', engine.labelsOf(nameOf('one')), { DeviceRequests: [{ DeviceIDs: [uuidOf(1)] }] })
    const two = { ...one, id: 'two', port: await freePort() }
    await restart([one, two])
    await eventually(() => told('one')?.health === 'ready' && told('two')?.health === 'unhealthy')
    expect(engine.requestsOf(nameOf('one'))).toEqual([{ DeviceIDs: [uuidOf(0)], Capabilities: [['gpu']] }])
    expect(engine.idOf(nameOf('one'))).toBe(id)
    expect(told('two')?.code).toBe('gpu_unavailable')
    await engine.end('copy')
    await eventually(() => told('two')?.health === 'ready')
    expect(engine.requestsOf(nameOf('two'))).toEqual([{ DeviceIDs: [uuidOf(1)], Capabilities: [['gpu']] }])
  })

  test('behavior: one that the last runner has left goes on with its GPU, though one before it has left', async () => {
    await startFakeSmi([gpuLine(0), gpuLine(1)])
    const { engine, one, reload, restart, told, nameOf } = await start(
      { gpu: { count: 1 } },
      { keep_running: true },
    )
    const two = { ...one, id: 'two', port: await freePort() }
    reload([one, two])
    await eventually(() => told('two')?.health === 'ready')
    reload([two])
    await eventually(() => told('one') === undefined)
    const id = engine.idOf(nameOf('two'))
    await restart([two])
    await eventually(() => told('two')?.health === 'ready')
    expect(engine.idOf(nameOf('two'))).toBe(id)
  })

  test('behavior: one that the last runner has left, and that does not go, may have any GPU', async () => {
    hurry()
    await startFakeSmi([gpuLine(0)])
    const { engine, one, restart, told, nameOf } = await start({ gpu: { count: 1 } }, { keep_running: true })
    engine.state.refuses = refuseStop
    const two = { ...one, id: 'two', port: await freePort() }
    await restart([two, { ...two, id: 'three', gpu: false, port: await freePort() }])
    await eventually(() => told('three')?.health === 'ready' && told('two')?.code === 'gpu_unavailable')
    expect(nameOf('one')).not.toBe('')
    engine.state.refuses = () => null
    await eventually(() => told('two')?.health === 'ready')
    expect(nameOf('one')).toBe('')
  })

  test('behavior: one that is not wanted any more and does not go keeps its GPU, and says so, until it does', async () => {
    hurry()
    await startFakeSmi([gpuLine(0)])
    const { engine, one, reload, told, nameOf } = await start({ gpu: { count: 1 } })
    engine.state.refuses = refuseStop
    const two = { ...one, id: 'two', port: await freePort() }
    reload([two])
    await eventually(() => told('one')?.code === 'undead' && told('two')?.code === 'gpu_unavailable')
    expect(nameOf('one')).not.toBe('')
    // However many configurations come meanwhile.
    reload([two, { ...two, id: 'three', gpu: false, port: await freePort() }])
    await eventually(() => told('three')?.health === 'ready')
    expect(told('two')?.code).toBe('gpu_unavailable')
    engine.state.refuses = () => null
    await eventually(() => told('two')?.health === 'ready')
    expect(told('one')).toBeUndefined()
    expect(nameOf('one')).toBe('')
    expect(engine.requestsOf(nameOf('two'))).toEqual([{ DeviceIDs: [uuidOf(0)], Capabilities: [['gpu']] }])
  })
})

test('behavior: at a reload while its host is held, one that runs is not asked whether it is ready', async () => {
  const fitnessPace = { fitMs: 50, unfitMs: 50 }
  const { engine, one, reload, told } = await start({ start_timeout: 0.2 }, {}, { fitnessPace })
  const inspected = () => engine.asked('/containers/').filter(({ path }) => path.endsWith('/json')).length
  reload([one], { min_free_disk: 2 ** 50 })
  await eventually(() => told('one')?.code === 'disk_low')
  // As one that computes: it would be stopped for its silence.
  engine.state.isMute = true
  const before = inspected()
  reload([one], { min_free_disk: 2 ** 50 })
  // By whoever brings it up, and by whoever then looks after it.
  await eventually(() => inspected() >= before + 2)
  reload([one], { min_free_disk: 0 })
  await eventually(() => told('one')?.health === 'ready')
  expect(engine.asked('/stop')).toEqual([])
})

test('behavior: one that may not run any more is taken down while its disk is being counted', async () => {
  const mine = { egress: 'open', capabilities: ['SYS_ADMIN'], limits: { disk: '1m' } }
  const { engine, one, reload, told, nameOf } = await start(mine)
  engine.state.hangs = ({ path }) => path.includes('size=1')
  const counts = engine.asked('size=1').length
  await engine.end(nameOf('one'))
  await eventually(() => engine.asked('size=1').length > counts && told('one')?.health === 'ready')
  reload([one], { require_isolation: true })
  await eventually(() => nameOf('one') === '' && told('one')?.code === 'not_isolated')
}, 40_000)

describe('a port that one has of an earlier configuration', () => {
  /** Of a container that is down, as this version has made it, and as one did that wrote no port on it. */
  const made = [
    { 'infernet.port': '3999' },
    { PortBindings: { '3000/tcp': [{ HostIp: '127.0.0.1', HostPort: '3999' }] } },
  ]

  test.each(made)(
    'behavior: %j goes to nobody else, also while it is down',
    async ({ PortBindings, ...own }) => {
      const { engine, one, reload, told, nameOf } = await start({})
      const { 'infernet.port': _, ...labels } = engine.labelsOf(nameOf('one')) ?? {}
      const host = PortBindings === undefined ? {} : { PortBindings }
      await engine.run('other', { ...labels, 'infernet.container': 'other', ...own }, host)
      await engine.end('other')
      reload([one, { ...one, id: 'two' }])
      await eventually(() => told('two')?.health === 'ready')
      expect(engine.labelsOf(nameOf('two'))).toMatchObject({
        'infernet.container': 'two',
        'infernet.port': expect.not.stringMatching(/^3999$/),
      })
    },
    20_000,
  )

  test('behavior: nor to one that comes before it in the file, and wants the same', async () => {
    retrySoon()
    const { engine, one, reload, told, nameOf } = await start({})
    const [name, port] = [nameOf('one'), String(one.port)]
    const before = engine.idOf(name)
    engine.state.refuses = ({ path }) => (path.includes(`/${before}/start`) ? 'it cannot be started' : null)
    await engine.end(name)
    await eventually(() => told('one')?.health === 'unhealthy')
    reload([{ ...one, id: 'two' }, one])
    await eventually(() => told('two')?.health === 'ready')
    engine.state.refuses = () => null
    await eventually(() => told('one')?.health === 'ready')
    expect(engine.idOf(name)).toBe(before)
    expect(engine.labelsOf(name)).toMatchObject({ 'infernet.port': port })
    expect(engine.labelsOf(nameOf('two'))).not.toMatchObject({ 'infernet.port': port })
  }, 20_000)
})
