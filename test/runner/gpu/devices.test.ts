import { readFile } from 'node:fs/promises'
import { describe, expect, test, vi } from 'vitest'
import { parseConfig } from '../../../src/runner/config/load.ts'
import { assignDevices, deviceRequests } from '../../../src/runner/gpu/devices.ts'
import { createGpus } from '../../../src/runner/gpu/gpus.ts'
import { createHostQuery, type HostQueryOptions } from '../../../src/runner/gpu/host-query.ts'
import { parseGpus } from '../../../src/runner/gpu/parse.ts'
import { createQuery } from '../../../src/runner/gpu/query.ts'
import { gpuLine, startFakeSmi, uuidOf } from './fake-smi.ts'

const gpus = parseGpus([0, 1, 2, 3].map(index => gpuLine(index)).join('\n'))
const Capabilities = [['gpu']]

function configured(...choices: unknown[]) {
  const containers = choices.map((gpu, index) => ({ id: `c${index}`, image: 'i', gpu }))
  const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers })
  return parseConfig(source, { path: '/config.json', env: {} }).config.containers
}

/** What each container gets, or why not. */
function assigned(choices: unknown[], there: typeof gpus | null = gpus) {
  return [...assignDevices(configured(...choices), there).values()].map(devices =>
    devices instanceof Error ? devices.message : devices,
  )
}

describe('gpu', () => {
  test('default: none, all, these, or so many', () => {
    const choices = [false, true, 'yes', 0, '2,3', [0], { count: '2' }, ['GPU-0a/b', 'MIG-1c'], '0:1']
    expect(configured(...choices).map(({ gpu }) => gpu)).toEqual([
      false,
      true,
      true,
      false,
      { devices: ['2', '3'] },
      { devices: ['0'] },
      { count: 2 },
      { devices: ['GPU-0a/b', 'MIG-1c'] },
      { devices: ['0:1'] },
    ])
  })

  test.for(['0', '1', 'none of them', '0;1', '0,0', [], {}, { count: 0 }, { count: 1.5 }, ['-1'], [{}]])(
    'error: %j',
    choice => {
      expect(() => configured(choice)).toThrow(/containers\[0\]\.gpu/)
    },
  )

  test('behavior: one digit as text could mean either, and is refused in words', () => {
    expect(() => configured('0')).toThrow('is ambiguous: write true or false, or ["0"]')
  })
})

describe('assignDevices', () => {
  test('default: the named ones by UUID, the counted ones out of what nobody names', () => {
    expect(assigned([false, true, [1], { count: 2 }, { count: 1 }, [uuidOf(1)]])).toEqual([
      'none',
      'all',
      { ids: [uuidOf(1)] },
      { ids: [uuidOf(0), uuidOf(2)] },
      { ids: [uuidOf(3)] },
      { ids: [uuidOf(1)] },
    ])
  })

  test('behavior: what is not there is not given, and nobody else goes without', () => {
    expect(assigned(['7', { count: 5 }, { count: 4 }])).toEqual([
      'This host has no GPU 7',
      "It wants 5 of this host's GPUs for itself, and 4 are free",
      { ids: [0, 1, 2, 3].map(uuidOf) },
    ])
  })

  test('behavior: a broken GPU is not counted out to anybody', () => {
    const lost = parseGpus([gpuLine(0, { rest: '[GPU is lost], 0, 0, 0' }), gpuLine(1)].join('\n'))
    expect(assigned([{ count: 1 }, { count: 1 }], lost)).toEqual([
      { ids: [uuidOf(1)] },
      "It wants 1 of this host's GPUs for itself, and 0 are free",
    ])
  })

  test('behavior: MIG instances are left to Docker', () => {
    expect(assigned([['MIG-1c', '0:1']])).toEqual([{ ids: ['MIG-1c', '0:1'] }])
  })

  test('behavior: where nobody knows what there is, Docker knows what is named, and nothing is counted', () => {
    expect(assigned([true, '0,7', { count: 1 }], null)).toEqual([
      'all',
      { ids: ['0', '7'] },
      expect.stringMatching(/^Which GPUs are free cannot be seen from here: name those .* --gpus all\)$/),
    ])
  })
})

test('deviceRequests: as the engine takes them', () => {
  expect(deviceRequests('none')).toEqual({})
  expect(deviceRequests('all')).toEqual({ DeviceRequests: [{ Count: -1, Capabilities }] })
  expect(deviceRequests({ ids: ['a'] })).toEqual({ DeviceRequests: [{ DeviceIDs: ['a'], Capabilities }] })
})

describe('createGpus', () => {
  type Wished = ReturnType<typeof configured>[number]

  function gpusFor(containers: readonly Wished[]) {
    const gpus = createGpus(createQuery())
    gpus.configure(containers)
    return gpus
  }

  test('behavior: what was given stays given when a GPU is lost; one that comes goes to whoever waits for it', async () => {
    const smi = await startFakeSmi([gpuLine(0), gpuLine(1)])
    const containers = configured({ count: 1 }, { count: 1 }, { count: 1 })
    const gpus = gpusFor(containers)
    const given = () =>
      Promise.all(containers.map(container => gpus.devicesOf(container).catch(error => error.code)))
    expect(await given()).toEqual([{ ids: [uuidOf(0)] }, { ids: [uuidOf(1)] }, 'gpu_unavailable'])
    await smi.says([gpuLine(1)])
    expect(await gpus.look()).toMatchObject({ kind: 'seen', gpus: [{ index: 1 }] })
    expect(await given()).toEqual([{ ids: [uuidOf(0)] }, { ids: [uuidOf(1)] }, 'gpu_unavailable'])
    await smi.says([gpuLine(1), gpuLine(2), gpuLine(0)])
    await gpus.look()
    expect(await given()).toEqual([{ ids: [uuidOf(0)] }, { ids: [uuidOf(1)] }, { ids: [uuidOf(2)] }])
  })

  test('behavior: another configuration leaves to those that stay what they have', async () => {
    await startFakeSmi([gpuLine(0), gpuLine(1)])
    const [a, b, c] = configured({ count: 1 }, { count: 1 }, { count: 1 }) as [Wished, Wished, Wished]
    const gpus = gpusFor([a, b])
    const given = async (wish: Wished) => await gpus.devicesOf(wish).catch(error => error.code)
    expect([await given(a), await given(b)]).toEqual([{ ids: [uuidOf(0)] }, { ids: [uuidOf(1)] }])
    gpus.configure([c, b])
    expect([await given(c), await given(b)]).toEqual([{ ids: [uuidOf(0)] }, { ids: [uuidOf(1)] }])
    gpus.configure([a, { ...b, gpu: { count: 2 } }, c])
    expect([await given(a), await given(b), await given(c)]).toEqual([
      { ids: [uuidOf(1)] },
      'gpu_unavailable',
      { ids: [uuidOf(0)] },
    ])
  })

  test('behavior: what a container has until it is replaced goes to nobody else, and may be its own again', async () => {
    await startFakeSmi([gpuLine(0), gpuLine(1)])
    const [a, b] = configured({ count: 1 }, { count: 2 }) as [Wished, Wished]
    const gpus = gpusFor([a])
    const given = async (wish: Wished) => await gpus.devicesOf(wish).catch(error => error.code)
    expect(await given(a)).toEqual({ ids: [uuidOf(0)] })
    const without = { ...a, gpu: false }
    gpus.configure([without, b], new Set([a.id]))
    expect([await given(without), await given(b)]).toEqual(['none', 'gpu_unavailable'])
    // Another one comes before the first is through.
    gpus.configure([without, b], new Set([a.id]))
    expect(await given(b)).toBe('gpu_unavailable')
    const more = { ...a, gpu: { count: 2 } }
    gpus.configure([more], new Set([a.id]))
    expect(await given(more)).toEqual({ ids: [uuidOf(0), uuidOf(1)] })
    gpus.configure([without, b])
    expect(await given(b)).toEqual({ ids: [uuidOf(0), uuidOf(1)] })
  })

  test('behavior: what containers have of an earlier process stays theirs, whoever was before them in the order', async () => {
    await startFakeSmi([0, 1, 2, 3].map(index => gpuLine(index)))
    const [, b, c, d] = configured(false, { count: 1 }, { count: 2 }, { count: 1 }) as Wished[]
    const gpus = gpusFor([b, c, d] as Wished[])
    gpus.hold(
      new Map([
        ['c1', [uuidOf(1)]],
        ['c2', [uuidOf(3), uuidOf(2)]],
      ]),
    )
    await gpus.look()
    expect([...gpus.given().values()]).toEqual([
      { ids: [uuidOf(1)] },
      { ids: [uuidOf(3), uuidOf(2)] },
      { ids: [uuidOf(0)] },
    ])
  })

  test('behavior: a driver that fails once is asked again; one that fails twice is believed, until it tells', async () => {
    const smi = await startFakeSmi([])
    const gpus = gpusFor(configured([0]))
    await smi.does(
      `if [ -e "${smi.directory}/once" ]; then echo '${gpuLine(0)}'; else touch "${smi.directory}/once"; exit 1; fi`,
    )
    expect(await gpus.look()).toMatchObject({ kind: 'seen' })
    await smi.does('exit 1')
    expect(await gpus.look()).toMatchObject({ kind: 'failed' })
    expect(gpus.seen()).toEqual([])
    expect(gpus.given().get('c0')).toEqual({ ids: [uuidOf(0)] })
  })

  test('behavior: before the driver has told anything, nothing is given that depends on it', async () => {
    const smi = await startFakeSmi([])
    await smi.does(`echo 'Failed to initialize NVML'; exit 9`)
    const choices = [{ count: 1 }, { count: 1 }, [1], [uuidOf(2)], true, false]
    const containers = configured(...choices)
    const gpus = gpusFor(containers)
    const given = () =>
      Promise.all(containers.map(container => gpus.devicesOf(container).catch(error => error.message)))
    const why =
      'Which GPUs this host has is not known so far: nvidia-smi has ended with 9: Failed to initialize NVML'
    expect(await given()).toEqual([why, why, why, { ids: [uuidOf(2)] }, 'all', 'none'])
    expect(gpus.given().has('c0')).toBe(false)
    await smi.says([0, 1, 2, 3].map(index => gpuLine(index)))
    // Whoever waits has it looked at again.
    expect(await given()).toEqual([
      { ids: [uuidOf(0)] },
      { ids: [uuidOf(3)] },
      { ids: [uuidOf(1)] },
      { ids: [uuidOf(2)] },
      'all',
      'none',
    ])
  })

  test('behavior: where nobody can look, nothing is counted out, and none is called absent', async () => {
    const given = async ({ dockerHost, inDocker }: HostQueryOptions) => {
      const gpus = createGpus(createHostQuery({ dockerHost, inDocker }))
      gpus.configure(configured([0], { count: 1 }))
      const { kind } = await gpus.look()
      return [kind, ...gpus.given()]
    }
    const named = ['c0', { ids: ['0'] }]
    await startFakeSmi([gpuLine(0)])
    expect(await given({ dockerHost: 'tcp://elsewhere', inDocker: false })).toEqual(['hidden', named])
    vi.stubEnv('PATH', '/nowhere')
    expect(await given({ dockerHost: undefined, inDocker: true })).toEqual(['hidden', named])
    expect(await given({ dockerHost: undefined, inDocker: false })).toEqual(['absent', named])
  })

  test('behavior: two who look at once are told the same, by one program', async () => {
    const smi = await startFakeSmi([gpuLine(0)])
    const gpus = gpusFor(configured(true))
    const sights = await Promise.all([gpus.look(), gpus.look(), gpus.devicesOf({ id: 'c0' })])
    expect(sights).toMatchObject([{ kind: 'seen' }, { kind: 'seen' }, 'all'])
    expect((await readFile(smi.asked, 'utf8')).split('\n')).toHaveLength(2)
  })
})
