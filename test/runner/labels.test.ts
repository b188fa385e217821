import { describe, expect, test } from 'vitest'
import { requiresOf, routeOf } from '../../src/protocol/container.ts'
import { meets, plainLabels, type Requires } from '../../src/protocol/labels.ts'
import type { RegisterRequest } from '../../src/protocol/runner.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { parseGpus } from '../../src/runner/gpu/parse.ts'
import { labelsOf } from '../../src/runner/labels.ts'
import { gpuLine, startFakeSmi } from './gpu/fake-smi.ts'
import { eventually, setup } from './setup.ts'

function configured(labels: unknown) {
  const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, labels })
  return parseConfig(source, { path: '/config.json', env: {} }).config.labels
}

const found = (lines: string[], labels = {}) =>
  labelsOf({
    configured: configured(labels),
    gpus: parseGpus(lines.join('\n')),
    arch: 'x64',
    platform: 'linux',
  })

describe('labelsOf', () => {
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

describe('a runner', () => {
  test('default: registers what its host has, and again when a GPU comes', async () => {
    const smi = await startFakeSmi([])
    await smi.says(['No devices were found'])
    const { edge, embed } = await setup()
    const registered = () =>
      edge.seen
        .filter(({ path }) => path === '/runner/register')
        .map(({ body }) => (body as RegisterRequest).labels)
    await embed({ labels: { region: 'eu' }, containers: [] }, { fitnessPace: { fitMs: 20, unfitMs: 20 } })
    await eventually(() => registered().length === 1)
    expect(registered()[0]).toMatchObject({ region: ['eu'], os: [process.platform] })
    expect(registered()[0]).not.toHaveProperty('gpu')
    await smi.says([gpuLine(0)])
    await eventually(() => registered().length === 2)
    expect(registered()[1]).toMatchObject({
      region: ['eu'],
      gpu: ['NVIDIA H100 80GB HBM3'],
      gpu_memory_gib: [80],
    })
    // One that is lost is still what the host is for: what waits for it waits until it is back.
    await smi.says(['No devices were found'])
    const beats = edge.seen.length
    await eventually(() => edge.seen.length > beats + 5)
    expect(registered()).toHaveLength(2)
  })
})
