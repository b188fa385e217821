import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/runner/config/load.ts'
import { freePort } from '../../src/runner/docker/free-port.ts'
import { startFakeEngine } from './fake-engine.ts'
import { gpuLine, startFakeSmi, uuidOf } from './gpu/fake-smi.ts'
import { eventually, setup } from './setup.ts'

/** A runner with one container, whose configuration is then another one. */
async function start(container: object, more: object = {}) {
  const engine = await startFakeEngine()
  const { directory, edge, embed } = await setup()
  const one = { id: 'one', image: 'i', port: await freePort(), ...container }
  const config = { manage_containers: true, drain_timeout: 2, ...more }
  const runner = await embed({ ...config, containers: [one] }, { dockerHost: engine.dockerHost })
  await runner.ready
  return {
    engine,
    edge,
    one,
    reload(...containers: object[]) {
      const source = { edge: { url: edge.url, key_file: 'runner.key' }, listen: '', ...config, containers }
      const path = join(directory, 'config.json')
      runner.reload(parseConfig(JSON.stringify(source), { path, env: {} }).config)
    },
    told: (id: string) => runner.status()?.containers.find(one => one.id === id),
    nameOf: (id: string) => engine.running().find(name => name.endsWith(`-${id}`)) ?? '',
  }
}

describe('a container that is replaced', { timeout: 40_000 }, () => {
  test('default: it is called as it was configured until it is gone; what says only how it is called counts at once', async () => {
    const { engine, edge, one, reload, told } = await start({ pull: 'always' })
    const pulled = Promise.withResolvers<void>()
    const pulls = () => engine.asked('/images/create').length
    engine.state.before = async ({ path }) => {
      if (path.includes('/images/create')) await pulled.promise
    }
    const before = pulls()
    reload({ ...one, slots: 3 })
    expect(told('one')).toMatchObject({ health: 'ready', slots: 3 })
    reload({ ...one, image: 'other', api: 'cog', slots: 8 })
    reload({ ...one, image: 'other', api: 'cog', slots: 9 })
    await eventually(() => pulls() === before + 3)
    expect(told('one')).toMatchObject({ health: 'ready', slots: 3 })
    const { resultText } = await edge.reported(edge.enqueue({ containers: ['one'], data: '1' }).id)
    expect(JSON.parse(resultText)).toEqual({ container: 'one', output: { said: 'hi' } })
    pulled.resolve()
    await eventually(() => told('one')?.slots === 9)
    expect(told('one')?.health).toBe('starting')
  })

  test('behavior: its GPU is its own until it is gone, and is given to whoever waits for it then', async () => {
    await startFakeSmi([gpuLine(0)])
    const { engine, edge, one, reload, told, nameOf } = await start({ gpu: { count: 1 } })
    const before = nameOf('one')
    const job = edge.enqueue({ containers: ['one'], data: '"hang"' })
    await eventually(() => edge.jobs.get(job.id)?.started)
    const two = { ...one, id: 'two', port: await freePort(), gpu: { count: 1 } }
    reload({ ...one, gpu: false }, two)
    await eventually(() => told('two') !== undefined && told('two')?.health !== 'starting')
    expect(told('two')?.code).toBe('gpu_unavailable')
    expect(nameOf('one')).toBe(before)
    await eventually(() => told('two')?.health === 'ready')
    expect(engine.requestsOf(nameOf('two'))).toEqual([{ DeviceIDs: [uuidOf(0)], Capabilities: [['gpu']] }])
    expect(engine.requestsOf(nameOf('one'))).toBeUndefined()
  })
})
