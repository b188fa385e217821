import { expect, test } from 'vitest'
import type { ControlRequest } from '../../src/protocol/runner.ts'
import type { Message } from './gate.ts'
import { systemOf } from './system.ts'
import { until } from './until.ts'

/** What a cancelled job may still cost its container. */
const abortMs = 6_000

/** A request for orders that names a job in hand. */
function isNaming({ path, asked }: Message): boolean {
  return path === '/runner/control' && (JSON.parse(asked) as ControlRequest).holding.length > 0
}

test('default: cancelling a job that runs drops the call of its container within 2 s', {
  timeout: 60_000,
}, async ({ onTestFinished }) => {
  const system = await systemOf({ slots: 2, onTestFinished })
  const { container, gates } = system
  await system.startRunner()
  const named = gates.edge.hold('request', isNaming)
  const names = ['fresh', 'settled']
  await container.hold(...names)
  for (const name of names.toReversed()) {
    const id = await system.createJob(JSON.stringify({ name }))
    await until(`${name} is running`, () => container.calls(name) === 1)
    // A call that the runner has named to the edge, and one that it has not had the time to.
    if (name === 'settled') {
      await named.reached()
      named.release()
      // A later request is answered: the edge has that one.
      await (await fetch(`${gates.edge.url}/health`)).text()
    }
    const cancelledAt = performance.now()
    const response = await fetch(`${system.url}/api/jobs/${id}`, { method: 'DELETE' })
    expect(response.status).toBe(200)
    await until(`the call of ${name} is dropped`, () => container.dropped(name) === 1, { everyMs: 5 })
    expect(performance.now() - cancelledAt).toBeLessThan(abortMs)
    expect((await system.job(id)).state).toBe('cancelled')
  }
  // Its slots are free again.
  const next = await system.createJob('{"name":"next"}')
  await until('the next job has ended', async () => (await system.job(next)).state === 'success')
})
