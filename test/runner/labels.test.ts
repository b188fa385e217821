import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { requiresOf, routeOf } from '../../src/protocol/container.ts'
import { Labels, meets, plainLabels, type Requires } from '../../src/protocol/labels.ts'
import type { RegisterRequest } from '../../src/protocol/runner.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { parseGpus } from '../../src/runner/gpu/parse.ts'
import { gpuLabelsOf, hostLabelsOf } from '../../src/runner/labels.ts'
import { startFakeEngine } from './fake-engine.ts'
import { gpuLine, startFakeSmi } from './gpu/fake-smi.ts'
import { eventually, setup } from './setup.ts'

function configured(labels: unknown) {
  const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, labels })
  return parseConfig(source, { path: '/config.json', env: {} }).config.labels
}

const found = (lines: string[], labels = {}) => ({
  ...hostLabelsOf({ configured: configured(labels), arch: 'x64', platform: 'linux' }),
  ...gpuLabelsOf(parseGpus(lines.join('\n')), configured(labels)),
})

describe('labels of a host and of its GPUs', () => {
  test('default: what is found, and what the operator says', () => {
    const lines = [gpuLine(0), gpuLine(1), gpuLine(2, { name: 'Tesla T4', rest: '15360, 0, [N/A], 30' })]
    expect(found(lines, { region: 'eu', zone: ['a', 'b'], rack: 7 })).toEqual({
      arch: ['x64', 'amd64'],
      os: ['linux'],
      gpu: ['NVIDIA H100 80GB HBM3', 'Tesla T4'],
      gpu_memory_gib: [80],
      region: ['eu'],
      zone: ['a', 'b'],
      rack: [7],
    })
    expect(found([])).toEqual({ arch: ['x64', 'amd64'], os: ['linux'] })
  })

  test.for([
    ['NVIDIA H100 80GB HBM3', '81559', 80],
    ['NVIDIA A100-SXM4-40GB', '40960', 40],
    ['NVIDIA GeForce RTX 4090', '24564', 24],
    ['NVIDIA H200', '143771', 140],
  ] as const)('behavior: a %s of %s MiB has the %d GiB that it is asked for', ([name, mib, gib]) => {
    const has = plainLabels(found([gpuLine(0, { name, rest: `${mib}, 0, 0, 30` })]))
    const ask = (requires: Requires) => meets(has, requiresOf(routeOf(['a'], requires)) ?? {})
    expect(ask({ gpu_memory_gib: gib })).toBe(true)
    expect(ask({ gpu_memory_gib: gib + 1 })).toBe(false)
    expect(ask({ gpu: name })).toBe(true)
  })

  test('behavior: the operator has the last word', () => {
    expect(found([gpuLine(0)], { gpu: 'MI300X', gpu_memory_gib: 192 })).toMatchObject({
      gpu: ['MI300X'],
      gpu_memory_gib: [192],
    })
  })

  test.for([
    { Region: 'eu' },
    { region: '' },
    { region: true },
    { region: [] as string[], '': 'x' },
    { n: 1.5 },
    'eu',
    { a: 'x'.repeat(129) },
  ])('error: %j', labels => {
    expect(() => configured(labels)).toThrow(/labels/)
  })
})

describe('what is configured', () => {
  const many = (length: number, value: unknown = 'x') =>
    Object.fromEntries(Array.from({ length }, (_, index) => [`label-${index}`, value]))

  test.for([
    many(28),
    many(28, 'x'.repeat(128)),
    many(
      13,
      Array.from({ length: 64 }, (_, index) => 10_000 + index),
    ),
  ])('behavior: as much as passes can be registered with what is found', labels => {
    expect(v.is(Labels, found([], labels))).toBe(true)
  })

  test.for([
    many(29),
    many(
      10,
      Array.from({ length: 8 }, (_, index) => `${index}${'x'.repeat(100)}`),
    ),
  ])('error: more, which the edge would refuse', labels => {
    expect(() => configured(labels)).toThrow(/labels: must be at most 28, of 7 Ki characters together/)
  })

  test('behavior: a label may be called constructor', () => {
    expect(configured({ constructor: 'x' })).toEqual({ constructor: ['x'] })
  })
})

describe('a runner', () => {
  async function start(
    containers: object[],
    options: Parameters<Awaited<ReturnType<typeof setup>>['embed']>[1] = {},
  ) {
    const { edge, embed } = await setup()
    const registered = () =>
      edge.seen.filter(({ path }) => path === '/runner/register').map(({ body }) => body as RegisterRequest)
    const config = {
      labels: { region: 'eu' },
      containers,
      manage_containers: options.dockerHost !== undefined,
    }
    await embed(config, { fitnessPace: { fitMs: 20, unfitMs: 20 }, ...options })
    return { edge, registered }
  }
  const url = 'http://127.0.0.1:9'
  const h100 = { gpu: ['NVIDIA H100 80GB HBM3'], gpu_memory_gib: [80] }

  test('default: registers what its host has, and again when a GPU comes', async () => {
    const smi = await startFakeSmi([])
    await smi.says(['No devices were found'])
    const { edge, registered } = await start([
      { id: 'one', url, gpu: true },
      { id: 'two', url },
    ])
    await eventually(() => registered().length === 1)
    expect(registered()[0]).toMatchObject({
      labels: { region: ['eu'], os: [process.platform] },
      gpu_labels: [],
    })
    expect(registered()[0]?.labels).not.toHaveProperty('gpu')
    await smi.says([gpuLine(0)])
    await eventually(() => registered().length === 2)
    expect(registered()[1]?.labels).toEqual(registered()[0]?.labels)
    expect(registered()[1]?.gpu_labels).toEqual([{ id: 'one', labels: h100 }])
    // One that is lost is still what the host is for: what waits for it waits until it is back.
    await smi.says(['No devices were found'])
    const beats = edge.seen.length
    await eventually(() => edge.seen.length > beats + 5)
    expect(registered()).toHaveLength(2)
  })

  test('behavior: each container has the labels of the GPUs that it was given', async () => {
    await startFakeSmi([gpuLine(0), gpuLine(1, { name: 'Tesla T4', rest: '15360, 0, [N/A], 30' })])
    const { dockerHost } = await startFakeEngine()
    const managed = async (id: string, gpu: unknown) => ({ id, image: 'i', gpu, port: await freePort() })
    const containers = [await managed('big', [0]), await managed('small', [1]), await managed('none', false)]
    const { registered } = await start(containers, { dockerHost })
    await eventually(() => (registered().at(-1)?.gpu_labels?.length ?? 0) > 0)
    expect(registered().at(-1)?.gpu_labels).toEqual([
      { id: 'big', labels: h100 },
      { id: 'small', labels: { gpu: ['Tesla T4'], gpu_memory_gib: [15] } },
    ])
  })

  test('behavior: tells nothing of its GPUs before its driver has', async () => {
    const smi = await startFakeSmi([])
    await smi.does('echo Unable to determine the device handle; exit 15')
    const { registered } = await start([{ id: 'one', url, gpu: true }])
    await eventually(() => registered().length === 1)
    expect(registered()[0]).toMatchObject({ labels: { region: ['eu'] } })
    expect(registered()[0]).not.toHaveProperty('gpu_labels')
    await smi.says([gpuLine(0)])
    await eventually(() => registered().length === 2)
    expect(registered()[1]?.gpu_labels).toEqual([{ id: 'one', labels: h100 }])
  })
})
