import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { stop } from '../../src/runner/docker/container.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'

test('behavior: an engine that hangs while a container is stopped is given up, ten seconds after its grace', async () => {
  const real = AbortSignal.timeout
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(ms => real(ms / 100))
  const server = createServer((request, response) => {
    if (request.url === '/version') response.end('{"Version":"28.3.1","ApiVersion":"1.51"}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const engine = createEngine(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(async () => {
    timeout.mockRestore()
    await engine.close()
    server.close()
    server.closeAllConnections()
  })
  await expect(stop(engine, 'one', 5)).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(timeout).toHaveBeenCalledWith(15_000)
}, 5_000)
