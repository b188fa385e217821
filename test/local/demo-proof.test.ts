import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProofDemo } from '../../src/local/demo-proof.ts'
import { openHome } from '../../src/local/home.ts'
import { freePort } from '../../src/local/port.ts'
import { type Stack, startStack } from '../../src/local/stack.ts'
import { createSteps } from '../../src/local/steps.ts'

let stack: Stack
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'infernet-proof-'))
  stack = await startStack({
    home: openHome(folder),
    steps: createSteps(() => {}),
    port: await freePort(),
    portRequired: true,
    docker: 'off',
    log: () => {},
  })
}, 180_000)
afterAll(async () => {
  await stack?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('default: what is proven is paid, and who got what is told; twice, as the stake comes back', async () => {
  const { chain, edge } = stack
  if (!chain) throw new Error('There is no chain')
  for (let run = 0; run < 2; run++) {
    const lines: string[] = []
    await runProofDemo({ chain, url: edge.url, steps: createSteps(line => lines.push(line)) })
    expect(lines.join('\n')).toContain('proof accepted by FactorVerifier.sol')
    const told = lines.map(line => line.trim()).filter(line => line.endsWith(' ETH'))
    expect(told).toEqual([
      'consumer’s wallet  -0.01 ETH',
      'node’s wallet      +0.009 ETH',
      'verifier            0 ETH',
      'protocol           +0.001 ETH',
    ])
  }
}, 90_000)
