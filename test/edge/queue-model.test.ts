import { sql } from 'drizzle-orm'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leaseMs, type Queue, startQueue } from '../support/queue.ts'
import * as step from './model/commands.ts'
import { expiryMs, type Model, newModel, retentionMs } from './model/model.ts'

/**
 * The queue against a model in plain data: who wins each race of report, heartbeat, cancel, sweep and claim, whatever messages are lost,
 * late, repeated or out of order, and however the clock jumps. After every step the state of every job and all counters are compared.
 */

/** A long run: `MODEL_RUNS=3000 npm test -- queue-model`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 40)

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())

/** Runs a script in an empty queue. @returns the model as it ends. */
async function runScript(script: Iterable<step.Command>): Promise<Model> {
  await queue.clear()
  await queue.db.orm.run(sql`delete from idempotency`)
  const [first, second] = [await queue.host(), await queue.host()]
  const hosts = [first, second, await queue.host(first.runner)]
  const model = newModel(queue.clock.ms)
  await fc.asyncModelRun(() => ({ model, real: { queue, hosts } }), script)
  return model
}

test('default: a script by hand reaches every state, so random ones can', async () => {
  const one = { host: 0, slots: [1, 1], max: 1, names: 'all', isLate: false } satisfies step.ClaimOf
  const lease = (job: number): step.Memory => ({ job, behind: 0, host: 0 })
  const { jobs } = await runScript([
    ...[step.add('a', 0), step.claim(one), step.report(lease(0), 'success', 1)],
    ...[step.add('a', 0), step.claim(one), step.beat(lease(1), true), step.pass(leaseMs), step.sweepAll()],
    ...[step.add('a,b', 0), step.pass(expiryMs), step.sweepAll()],
    ...[step.add('b', 0), step.cancelOne(3, true)],
    ...[step.add('b', 0), step.claim(one), step.add('b', 0), step.begin()],
  ])
  const states = ['success', 'failed', 'expired', 'cancelled', 'running', 'queued', 'receiving']
  expect(jobs.map(({ state }) => state)).toEqual(states)
  const lapse = [step.pass(leaseMs), step.sweepAll()]
  const { jobs: streams } = await runScript([
    ...[step.addStream(), step.claim(one), step.output(lease(0), true), ...lapse],
    ...[step.addStream(), step.claim(one), ...lapse, step.output(lease(1), true), step.claim(one)],
    ...[step.addStream(), step.leaveUnread(2), step.addStream(), step.pass(expiryMs), step.expireOne(3)],
  ])
  expect(streams.map(({ state, attempt, output }) => [state, attempt, output])).toEqual([
    ['failed', 1, 1],
    ['running', 1, 1],
    ['cancelled', 0, 0],
    ['expired', 0, 0],
  ])
  const { jobs: pruned } = await runScript([
    ...[step.addOnce('k', 'one'), step.cancelOne(0, true), step.pass(retentionMs), step.sweepAll()],
    ...[step.addOnce('k', 'one'), step.addOnce('k', 'other')],
  ])
  expect(pruned).toEqual([])
})

test('behavior: the queue does what its model does, and counts right', async () => {
  const property = fc.asyncProperty(step.scripts, async script => void (await runScript(script)))
  await fc.assert(property, { numRuns, endOnFailure: true })
}, 600_000)
