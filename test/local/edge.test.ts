import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { startEdge } from '../../src/local/edge.ts'

test('behavior: an edge whose port is taken does not pass for one that listens', async () => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void taken.close())
  const { port } = taken.address() as AddressInfo
  const vars = { DATABASE_URL: 'http://127.0.0.1:1' }
  await expect(startEdge({ port, vars, log: () => {} })).rejects.toThrow('workerd ended')
})
