import { describe, expect, test } from 'vitest'
import { costOf, createAll, expectSuccesses, idOf, named, resultText, spooled, successText } from './jobs.ts'
import { startLoad } from './load.ts'
import { minuteMs, pace, type System, systemOf } from './system.ts'
import { until } from './until.ts'

/** The edge, or its database, is away for long, while runners go on. */

const options = { concurrent: true, timeout: 120_000 }
const largeOf = (name: string) => `{"name":"${name}","text":"${'é'.repeat(150_000)}"}`

async function clock(ms: number): Promise<void> {
  const end = performance.now() + ms
  await until(`${ms / 1000} s of an outage have passed`, () => performance.now() > end)
}

async function allEnded(system: System, ids: readonly string[]): Promise<void> {
  await until('all have ended', async () => {
    const jobs = await Promise.all(ids.map(id => system.job(id)))
    return jobs.every(({ state }) => state === 'success')
  })
}

describe('the edge', () => {
  test(
    'is down for the whole of a computation: the results wait in the spool, and count when it is back',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, edge } = system
      const runner = await system.startRunner()
      await container.hold('small', 'large')
      const small = await system.createJob(named('small'))
      const large = await system.createJob(largeOf('large'))
      await until('both are running', () => container.calls('small') + container.calls('large') === 2)
      await edge.kill()
      await clock(pace.leaseMs)
      await container.release('small', 'large')
      await spooled(runner, [small, large])
      await edge.start()
      const back = performance.now()
      await allEnded(system, [small, large])
      console.log(
        `The edge is back; both results are there after ${((performance.now() - back) / 1000).toFixed(1)} s`,
      )

      for (const id of [small, large])
        expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect(await resultText(system, small)).toBe(successText(small, named('small')))
      expect((await resultText(system, large)) === successText(large, largeOf('large'))).toBe(true)
      expect(['small', 'large'].map(container.calls)).toEqual([1, 1])
    },
  )
})

describe('the database', () => {
  // A lease of 3 s stands for one of 60: the minute is 3 s long.
  test(
    'is down for a minute while jobs are queued, running and finishing: all end, and none that had finished begins anew',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 6, onTestFinished })
      const { container, database, gates } = system
      const runner = await system.startRunner()
      const [finishing, running] = [
        ['finishing-1', 'finishing-2'],
        ['running-1', 'running-2'],
      ]
      await container.hold(...finishing, ...running)
      const inHand = await createAll(system, [...finishing, ...running])
      const names = [...finishing, ...running]
      await until('four are running', () => names.every(name => container.calls(name) === 1))
      // Two whose inputs are being read: their containers are called, and wait for the rest of the request.
      const inputs = gates.edge.hold('request', ({ path }) => path.includes('/input?'))
      const reading = [
        await system.createJob(largeOf('reading-1')),
        await system.createJob(largeOf('reading-2')),
      ]
      await inputs.reached(2)
      const load = startLoad(system)
      await until('more are queued', () => load.accepted.size >= 20)

      await database.kill()
      await container.release(...finishing)
      inputs.release()
      await spooled(
        runner,
        finishing.map(name => idOf(inHand, name)),
      )
      await clock(minuteMs)
      await database.start()
      const back = performance.now()
      const accepted = load.accepted.size
      await until('creates are accepted again', () => load.accepted.size >= accepted + 10)
      await load.stop()
      await container.release(...running)
      await allEnded(system, [...inHand.keys(), ...reading])
      console.log(
        `The database was away for ${minuteMs / 1000} s; all jobs of before have ended ${((performance.now() - back) / 1000).toFixed(1)} s after`,
      )

      await expectSuccesses(system, new Map([...inHand, ...load.accepted]))
      for (const id of [...inHand.keys(), ...reading])
        expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      for (const [index, id] of reading.entries())
        expect((await resultText(system, id)) === successText(id, largeOf(`reading-${index + 1}`))).toBe(true)
      const loaded = [...load.accepted.values()]
      expect(
        [...names, 'reading-1', 'reading-2', ...loaded].filter(name => container.calls(name) !== 1),
      ).toEqual([])
      const refusals = new Set(load.refused.map(refusal => JSON.stringify(refusal)))
      expect([...refusals]).toEqual(['{"status":503,"retryAfter":"2","code":"database_unavailable"}'])
    },
  )
})
