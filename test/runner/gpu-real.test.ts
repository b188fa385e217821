import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { createQuery } from '../../src/runner/gpu/query.ts'

/** On a host that has GPUs. What is compared comes from the driver by another way. */
const listed = listGpus()
if (listed === null) console.log('GPU tests are skipped: there is no nvidia-smi')

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
