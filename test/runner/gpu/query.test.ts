import { readFile } from 'node:fs/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { parseGpus } from '../../../src/runner/gpu/parse.ts'
import { createQuery } from '../../../src/runner/gpu/query.ts'
import { gpuLine, startFakeSmi, uuidOf } from './fake-smi.ts'

describe('parseGpus', () => {
  test('default: a line for each GPU', () => {
    expect(
      parseGpus(`${gpuLine(0)}\n${gpuLine(1, { name: 'Tesla T4', rest: '15360, 0, 0, 35' })}\n`),
    ).toEqual([
      {
        index: 0,
        uuid: uuidOf(0),
        name: 'NVIDIA H100 80GB HBM3',
        driver: '550.54.15',
        memory_mib: 81559,
        memory_used_mib: 1024,
        utilization: 37,
        temperature: 41,
        problem: null,
      },
      expect.objectContaining({ index: 1, name: 'Tesla T4', memory_mib: 15360, utilization: 0 }),
    ])
  })

  test.for([
    ['81559, 1024, [N/A], 41', { utilization: null, problem: null }],
    ['81559, 1024, [Not Supported], 41', { utilization: null, problem: null }],
    ['[N/A], [N/A], 3, 41', { memory_mib: null, memory_used_mib: null, problem: null }],
    [
      '[GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]',
      { memory_mib: null, problem: 'GPU is lost' },
    ],
    ['81559, 1024, [GPU requires reset], 41', { problem: 'GPU requires reset' }],
    ['[Unknown Error], 1024, 3, 41', { problem: 'Unknown Error' }],
  ] as const)('behavior: %s', ([rest, expected]) => {
    expect(parseGpus(gpuLine(3, { rest }))).toMatchObject([{ index: 3, ...expected }])
  })

  test('behavior: a GPU that is cut into MIG instances is one GPU', () => {
    const rest = '40536, 14, [N/A], 30'
    expect(parseGpus(gpuLine(0, { name: 'NVIDIA A100-SXM4-40GB', rest }))).toMatchObject([
      { name: 'NVIDIA A100-SXM4-40GB', memory_mib: 40536, utilization: null, problem: null },
    ])
  })

  test('behavior: a name may have commas; no GPU at all is told in words', () => {
    expect(parseGpus(gpuLine(0, { name: 'Quadro, the old one' }))[0]?.name).toBe('Quadro, the old one')
    expect(parseGpus('No devices were found\n')).toEqual([])
  })

  test.for([
    'index, uuid, name',
    gpuLine(0, { rest: '81559 MiB, 1024 MiB, 37 %, 41' }),
    gpuLine(0, { rest: '81559, , 37, 41' }),
    gpuLine(0, { uuid: 'MIG-1' }),
    gpuLine(0, { name: '' }),
    gpuLine(0, { rest: '-1, 1, 1, 1' }),
    'Unable to determine the device handle for GPU 0000:04:00.0: Unknown Error',
  ])('error: %s', line => {
    expect(() => parseGpus(line)).toThrow(JSON.stringify(line))
  })
})

describe('createQuery', () => {
  test('default: asks the program on the PATH for its columns, without units', async () => {
    const smi = await startFakeSmi([gpuLine(0), gpuLine(1)])
    expect(await createQuery()()).toMatchObject({ kind: 'seen', gpus: [{ index: 0 }, { index: 1 }] })
    expect(await readFile(smi.asked, 'utf8')).toBe(
      '--query-gpu=index,uuid,name,memory.total,memory.used,utilization.gpu,temperature.gpu,driver_version --format=csv,noheader,nounits\n',
    )
  })

  test('behavior: no program, no GPU', async () => {
    vi.stubEnv('PATH', '/nowhere')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await createQuery()()).toEqual({ kind: 'absent' })
  })

  test('behavior: what it says when it fails is told, on whichever stream', async () => {
    const smi = await startFakeSmi([])
    const query = createQuery()
    await smi.does(`echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18`)
    expect(await query()).toEqual({
      kind: 'failed',
      error: 'nvidia-smi has ended with 18: Failed to initialize NVML: Driver/library version mismatch',
    })
    await smi.does(`echo 'Unable to determine the device handle for GPU0' >&2; exit 255`)
    expect(await query()).toMatchObject({ error: expect.stringContaining('255: Unable to determine') })
    await smi.does(`echo 'No devices were found'; exit 6`)
    expect(await query()).toEqual({ kind: 'seen', gpus: [] })
  })

  test('behavior: one that hangs is given up, and killed though it will not hear', async () => {
    const smi = await startFakeSmi([])
    const query = createQuery({ answerMs: 2_000 })
    await smi.does(`trap '' TERM; echo $$ > "${smi.directory}/pid"; exec sleep 60`)
    expect(await query()).toEqual({ kind: 'failed', error: 'nvidia-smi has not answered within 2 s' })
    const pid = Number(await readFile(`${smi.directory}/pid`, 'utf8'))
    await expect.poll(() => isAlive(pid)).toBe(false)
    await smi.says([gpuLine(0)])
    await expect.poll(query).toMatchObject({ kind: 'seen' })
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
