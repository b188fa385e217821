import { describe, expect, test } from 'vitest'
import {
  costOf,
  createAll,
  expectSuccesses,
  idOf,
  lapsed,
  leaseEnd,
  named,
  pending,
  resultText,
  spooled,
  successText,
} from './jobs.ts'
import { startLoad } from './load.ts'
import { killed } from './part.ts'
import { systemOf } from './system.ts'
import { until } from './until.ts'

// The stories of a group run side by side: each has a system of its own, and waits for leases to lapse.
const options = { concurrent: true, timeout: 120_000 }

describe('one program is killed, and comes back', () => {
  test(
    'the edge is killed: queued, running and unreported jobs end, and no finished result is computed again',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, edge } = system
      const runner = await system.startRunner()
      const [finished, running] = [
        ['finished-1', 'finished-2'],
        ['running-1', 'running-2'],
      ]
      await container.hold(...finished, ...running)
      const inHand = await createAll(system, [...finished, ...running])
      await until('four are running', () => [...inHand.values()].every(name => container.calls(name) === 1))
      // There is no slot left: these wait in the queue.
      const load = startLoad(system)
      await until('more are queued', () => load.accepted.size >= 20)

      edge.stop()
      await container.release(...finished)
      await spooled(
        runner,
        finished.map(name => idOf(inHand, name)),
      )
      await edge.kill()
      const before = { accepted: load.accepted.size, unanswered: load.unanswered() }
      await lapsed(system, [...inHand.keys()])
      await edge.start()
      await container.release(...running)
      await until('creates are accepted again', () => load.accepted.size >= before.accepted + 10)
      await load.stop()

      await expectSuccesses(system, new Map([...inHand, ...load.accepted]))
      expect(finished.map(container.calls)).toEqual([1, 1])
      expect(load.unanswered()).toBeGreaterThan(before.unanswered)
      expect(load.refused).toEqual([])
    },
  )

  test(
    'the database is killed under load: creates are refused meanwhile, and every job that got an id ends',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, database } = system
      await system.startRunner()
      await container.hold('held')
      const held = await createAll(system, ['held'])
      const load = startLoad(system)
      await until('jobs come and go', () => container.calls('held') === 1 && container.calls('load-40') === 1)

      await database.kill()
      await until('creates are refused', () => load.refused.length >= 20)
      await container.release('held')
      const accepted = load.accepted.size
      await database.start()
      await until('creates are accepted again', () => load.accepted.size >= accepted + 20)
      await load.stop()

      await expectSuccesses(system, new Map([...held, ...load.accepted]))
      const refusals = new Set(load.refused.map(refusal => JSON.stringify(refusal)))
      expect([...refusals]).toEqual(['{"status":503,"retryAfter":"2","code":"database_unavailable"}'])
      expect(load.unanswered()).toBe(0)
    },
  )
})

describe('a runner is killed', () => {
  test(
    'a runner is killed in the middle of a job: another takes it when the lease has lapsed',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container } = system
      const first = await system.startRunner({ spool: 'first' })
      await container.hold('job')
      const id = await system.createJob(named('job'))
      await until('the edge knows that it has started', async () => (await system.job(id)).tries === 1)

      await killed(first)
      await container.release('job')
      const lapsesAt = await leaseEnd(system, id)
      await system.startRunner({ spool: 'second' })
      await expectSuccesses(system, new Map([[id, 'job']]))
      const job = await system.job(id)
      expect(costOf(job)).toEqual({ state: 'success', attempt: 2, tries: 2 })
      expect(Date.parse(job.claimed_at ?? '')).toBeGreaterThanOrEqual(lapsesAt)
      expect(container.calls('job')).toBe(2)
    },
  )

  test(
    'a runner is killed before its report got through: its next process reports what is in the spool',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, edge } = system
      const first = await system.startRunner()
      // The second result is uploaded in parts.
      const large = `{"name":"large","text":"${'é'.repeat(150_000)}"}`
      await container.hold('small', 'large')
      const ids = [await system.createJob(named('small')), await system.createJob(large)]
      await until('both are running', () => container.calls('small') + container.calls('large') === 2)

      await edge.kill()
      await container.release('small', 'large')
      await spooled(first, ids)
      await killed(first)
      await lapsed(system, ids)
      await edge.start()
      await edge.runSchedule()
      // Any runner might take them from here on.
      for (const id of ids) expect(await system.job(id)).toMatchObject({ state: 'queued', attempt: 1 })
      await system.startRunner()
      await until('both have ended', async () => (await pending(system)) === 0)

      for (const id of ids)
        expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect(await resultText(system, ids[0])).toBe(successText(ids[0], named('small')))
      expect((await resultText(system, ids[1])) === successText(ids[1], large)).toBe(true)
      expect(['small', 'large'].map(container.calls)).toEqual([1, 1])
    },
  )
})

describe('the whole system', () => {
  test('every program is killed at once: all goes on from the disk', options, async ({ onTestFinished }) => {
    const system = await systemOf({ slots: 4, onTestFinished })
    const { container, database, edge } = system
    const runner = await system.startRunner()
    const inHand = ['held-1', 'held-2']
    await container.hold(...inHand)
    const held = await createAll(system, inHand)
    const load = startLoad(system)
    await until('jobs come and go', () => container.calls('load-40') === 1)

    await Promise.all([database.kill(), edge.kill(), killed(runner)])
    await load.stop()
    await container.release(...inHand)
    await database.start()
    await edge.start()
    await system.startRunner()
    await expectSuccesses(system, new Map([...held, ...load.accepted]))
  })

  test(
    'a runner is told to end: it finishes what it has in hand, takes nothing new, and nothing is lost',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 2, onTestFinished })
      const { container } = system
      const first = await system.startRunner()
      await container.hold('in-hand-1', 'in-hand-2')
      const inHand = await createAll(system, ['in-hand-1', 'in-hand-2'])
      await until('both are running', () => [...inHand.values()].every(name => container.calls(name) === 1))
      const waiting = await createAll(system, ['waiting-1', 'waiting-2', 'waiting-3'])

      first.child.kill('SIGTERM')
      await first.said('Draining')
      await container.release('in-hand-1', 'in-hand-2')
      expect(await first.exited).toEqual({ code: 0, signal: null })
      for (const id of inHand.keys())
        expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      for (const id of waiting.keys())
        expect(await system.job(id)).toMatchObject({ state: 'queued', tries: 0 })

      await system.startRunner()
      const jobs = new Map([...inHand, ...waiting])
      await expectSuccesses(system, jobs)
      expect([...jobs.values()].map(container.calls)).toEqual([1, 1, 1, 1, 1])
    },
  )

  test('a batch through the whole system: 50 successes, to the byte', options, async ({ onTestFinished }) => {
    const system = await systemOf({ slots: 8, onTestFinished })
    await system.startRunner()
    const inputs = Array.from(
      { length: 49 },
      (_, index) =>
        `{"name":"small-${index}", "id":${index}, "id":1.50, "big":18446744073709551617,"text":"\\u00e9 é 🜁 \\/"}`,
    )
    inputs.splice(25, 0, `{"name":"large","text":"${'é\\n🜁 '.repeat((3 * 1024 * 1024) / 9)}"}`)
    expect(Buffer.byteLength(inputs[25] ?? '')).toBeGreaterThan(3 * 1024 * 1024)

    const requests = inputs.map(data => `{"containers":["echo"],"data":${data}}`)
    const response = await fetch(`${system.url}/api/jobs/batch`, {
      method: 'POST',
      body: `[${requests.join(',')}]`,
    })
    const ids = ((await response.json()) as { id: string }[]).map(({ id }) => id)
    await until('all have ended', async () => (await pending(system)) === 0)
    const texts = await Promise.all(ids.map(id => resultText(system, id)))
    const wrong = texts.flatMap((text, index) =>
      text === successText(ids[index], inputs[index] ?? '') ? [] : [text.slice(0, 500)],
    )
    expect({ ids: ids.length, wrong }).toEqual({ ids: 50, wrong: [] })
  })
})
