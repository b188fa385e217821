import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { createAdmin } from '../../src/client/admin.ts'
import { createQuery } from '../../src/runner/gpu/query.ts'
import { systemOf } from '../flows/system.ts'
import { until } from '../flows/until.ts'
import { adminToken } from '../support/edge.ts'
import { gpuLine, startFakeSmi, uuidOf } from './gpu/fake-smi.ts'

/** On a host that has GPUs. What is compared comes from the driver by another way. */
const listed = listGpus()
if (listed === null)
  console.log('GPU tests are skipped, or have a program for a driver: there is no nvidia-smi')

function listGpus(): string[] | null {
  try {
    const text = execFileSync('nvidia-smi', ['-L'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return text.split('\n').filter(line => line.startsWith('GPU '))
  } catch {
    return null
  }
}

describe.skipIf(listed === null)('the GPUs of this host', () => {
  test('default: each is seen, as its driver lists it', async () => {
    const sight = await createQuery()()
    expect(sight.kind).toBe('seen')
    const gpus = sight.kind === 'seen' ? sight.gpus : []
    expect(gpus.map(({ index, name, uuid }) => `GPU ${index}: ${name} (UUID: ${uuid})`)).toEqual(listed)
    for (const gpu of gpus) {
      expect(gpu.problem).toBeNull()
      expect(gpu.driver).toMatch(/^\d+\.\d+/)
      if (gpu.memory_mib !== null) expect(gpu.memory_mib).toBeGreaterThan(gpu.memory_used_mib ?? 0)
    }
  })
})

test('default: what GPUs have and use is told from the driver to the edge’s operator', {
  timeout: 60_000,
}, async ({ onTestFinished }) => {
  if (listed === null) await startFakeSmi([gpuLine(0), gpuLine(1, { rest: '81559, 80000, 99, 85' })])
  const system = await systemOf({ slots: 1, onTestFinished })
  const admin = createAdmin({ url: system.url, token: adminToken })
  await system.startRunner()
  const gpus = async () => (await admin.listRunners())[0]?.process?.host?.gpus ?? []
  await until('it has told of its GPUs', async () => (await gpus()).length > 0)
  if (listed === null)
    expect(await gpus()).toMatchObject([
      { uuid: uuidOf(0), memory_mib: 81_559, memory_used_mib: 1_024, utilization: 37 },
      { uuid: uuidOf(1), memory_mib: 81_559, memory_used_mib: 80_000, utilization: 99 },
    ])
  else
    expect((await gpus()).map(({ index, name, uuid }) => `GPU ${index}: ${name} (UUID: ${uuid})`)).toEqual(
      listed,
    )
  for (const { memory_mib, memory_used_mib } of await gpus())
    expect(memory_mib ?? Number.NaN).toBeGreaterThan(memory_used_mib ?? Number.NaN)
})
