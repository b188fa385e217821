import { describe, expect, test } from 'vitest'
import { createAdmin } from '../../src/client/admin.ts'
import { adminToken } from '../support/edge.ts'
import { costOf, named } from './jobs.ts'
import { easyPace, type System, systemOf } from './system.ts'
import { until } from './until.ts'

/** Hosts as their operator sees them, with real processes. */

const options = { concurrent: true, timeout: 120_000 }
const stall = new URL('../runner/stall.ts', import.meta.url).pathname

async function started(system: System, id: string): Promise<void> {
  await until('the edge knows that it has started', async () => (await system.job(id)).tries === 1)
}

describe('a host', () => {
  test(
    'the loop that works stands still for longer than a lease, another waits for its jobs: nothing is lost',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, leases: easyPace, onTestFinished })
      const { container } = system
      const runner = await system.startRunner({ preload: stall })
      await container.hold('job')
      const id = await system.createJob(named('job'))
      await started(system, id)
      await system.startRunner({ key: 'other', spool: 'other' })
      const stalled = new Promise(resolve => runner.child.once('message', resolve))
      runner.child.send(1.5 * easyPace.leaseMs)
      await stalled
      expect(costOf(await system.job(id))).toEqual({ state: 'running', attempt: 1, tries: 1 })

      await container.release('job')
      await until('it has ended', async () => (await system.job(id)).state === 'success')
      expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect(container.calls('job')).toBe(1)
    },
  )

  test(
    'it is paused, and says so; it is told to go on, and does; it is drained, and ends',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const admin = createAdmin({ url: system.url, token: adminToken })
      const runner = await system.startRunner()
      const [{ id = '' } = {}] = await admin.listRunners()
      const mode = async () => (await admin.listRunners())[0]?.process?.host?.mode
      await until('it has told of itself', async () => (await mode()) === 'run')

      await admin.setRunnerMode(id, 'pause')
      await until('it is paused', async () => (await mode()) === 'pause')
      const job = await system.createJob(named('job'))
      expect((await system.job(job)).state).toBe('queued')
      await admin.setRunnerMode(id, 'run')
      await until('its job has ended', async () => (await system.job(job)).state === 'success')
      await until('it works', async () => (await mode()) === 'run')

      const ended = new Promise(resolve => runner.child.once('exit', resolve))
      await admin.setRunnerMode(id, 'drain')
      expect(await ended).toBe(0)
    },
  )
})
