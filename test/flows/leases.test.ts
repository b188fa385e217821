import { describe, expect, test } from 'vitest'
import {
  costOf,
  createAll,
  expectSuccesses,
  leaseEnd,
  named,
  pending,
  resultText,
  spooled,
  successText,
  whoHas,
} from './jobs.ts'
import { killed } from './part.ts'
import { easyPace, pace, type System, systemOf } from './system.ts'
import { until } from './until.ts'

/** Who may work on what: leases, attempts and instances, with real processes. */

const options = { concurrent: true, timeout: 120_000 }
const starve = new URL('./starve.ts', import.meta.url).pathname
const stall = new URL('../runner/stall.ts', import.meta.url).pathname
const isClaim = ({ path }: { path: string }) => path === '/runner/claim'

/** The edge knows that the job has started: from here on its try counts. */
async function started(system: System, id: string): Promise<void> {
  await until('the edge knows that it has started', async () => (await system.job(id)).tries === 1)
}

/** Prints how long something took, beside the pace that it depends on. */
function printTook(what: string, from: number): void {
  console.log(
    `${what}: ${((performance.now() - from) / 1000).toFixed(1)} s, a lease being ${pace.leaseMs / 1000} s`,
  )
}

describe('another runner', () => {
  test(
    'a runner is killed in the middle of a job: one that waits, of another key and host, has it soon after the lease',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container } = system
      const first = await system.startRunner()
      await container.hold('job')
      const id = await system.createJob(named('job'))
      await started(system, id)
      await system.startRunner({ key: 'other', spool: 'other' })

      const at = performance.now()
      await killed(first)
      await until('it runs elsewhere', () => container.calls('job') === 2)
      printTook('A runner is killed; its job runs elsewhere after', at)
      await container.release('job')
      await expectSuccesses(system, new Map([[id, 'job']]))
      expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 2, tries: 2 })
    },
  )

  test(
    'a runner is killed and started anew, with its key and spool: jobs in hand begin anew, results in the spool count',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, gates } = system
      const first = await system.startRunner()
      await container.hold('in-hand', 'finished')
      const inHand = await system.createJob(named('in-hand'))
      const finished = await system.createJob(named('finished'))
      await until('both are running', () => container.calls('in-hand') + container.calls('finished') === 2)
      await started(system, inHand)
      const report = gates.edge.hold('request', ({ path }) => path === '/runner/report')
      await container.release('finished')
      await spooled(first, [finished])

      await killed(first)
      report.release()
      await container.release('in-hand')
      await system.startRunner()
      await expectSuccesses(
        system,
        new Map([
          [inHand, 'in-hand'],
          [finished, 'finished'],
        ]),
      )
      expect(costOf(await system.job(inHand))).toEqual({ state: 'success', attempt: 2, tries: 2 })
      expect(costOf(await system.job(finished))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect(container.calls('finished')).toBe(1)
    },
  )

  test(
    'the successor of a killed runner needs longer than a lease to hand in what is in the spool: nobody computes it again',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, gates } = system
      const large = `{"name":"large","text":"${'é'.repeat(150_000)}"}`
      const first = await system.startRunner()
      const parts = gates.edge.hold('request', ({ method }) => method === 'PUT')
      const id = await system.createJob(large)
      await spooled(first, [id])
      await killed(first)
      const oldLeaseEnd = await leaseEnd(system, id)
      await system.startRunner()
      await system.startRunner({ key: 'other', spool: 'other' })
      await until('the old lease is over', async () => Date.now() > oldLeaseEnd)
      const claims = gates.edge.requests.filter(isClaim).length
      await until(
        'everybody has claimed since',
        () => gates.edge.requests.filter(isClaim).length >= claims + 4,
      )

      parts.release()
      await until('it has ended', async () => (await system.job(id)).state === 'success')
      expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect((await resultText(system, id)) === successText(id, large)).toBe(true)
      expect(container.calls('large')).toBe(1)
    },
  )

  test(
    'two processes with one key: both work, and each job is computed once',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 2, leases: easyPace, onTestFinished })
      const { container } = system
      const runners = [
        await system.startRunner({ spool: 'first' }),
        await system.startRunner({ spool: 'second' }),
      ]
      const names = Array.from({ length: 30 }, (_, index) => `shared-${index}`)
      const held = names.slice(0, 4)
      await container.hold(...held)
      const jobs = await createAll(system, held)
      await until('all slots of both are taken', () => held.every(name => container.calls(name) === 1))
      const instances = await Promise.all([...jobs.keys()].map(id => whoHas(system, id)))
      expect(new Set(instances).size).toBe(2)
      await container.release(...held.slice(1))
      for (const [id, name] of await createAll(system, names.slice(4))) jobs.set(id, name)
      await until('the others have ended', async () => (await pending(system)) === 1)

      // The lease of the held one is its process's: it lapses when that one dies, and the other, of the same runner, takes the job.
      const id = [...jobs.keys()].find(job => jobs.get(job) === held[0]) ?? ''
      await started(system, id)
      const holder = (await whoHas(system, id)) ?? 'nobody'
      expect(costOf(await system.job(id))).toEqual({ state: 'running', attempt: 1, tries: 1 })
      const theirs = runners.filter(runner => runner.output().includes(holder))
      expect(theirs).toHaveLength(1)
      await Promise.all(theirs.map(killed))
      await container.release(held[0] ?? '')
      await expectSuccesses(system, jobs)
      expect(names.map(container.calls)).toEqual([2, ...names.slice(1).map(() => 1)])
      expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 2, tries: 2 })
    },
  )
})

describe('lost messages', () => {
  test(
    'three answers to claims in a row are lost: the very next claim is given the jobs again, at one attempt each',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, gates } = system
      await container.hold('one', 'two')
      const held = gates.edge.hold('request', isClaim)
      await system.startRunner()
      const jobs = await createAll(system, ['one', 'two'])
      const withJobs = (id: string) => (answer: { path: string; body: string }) =>
        isClaim(answer) && answer.body.includes(id)
      const left = gates.edge.swallow(3, withJobs([...jobs.keys()][0] ?? ''))
      await held.reached()
      const before = gates.edge.requests.filter(isClaim).length
      held.release()
      await until('both are running', () => container.calls('one') + container.calls('two') === 2)

      expect(left()).toBe(0)
      // Three more than the first, each of which was given the jobs. The next, for the free slots, may be on its way.
      expect(gates.edge.requests.filter(isClaim).length - before).toBeLessThanOrEqual(4)
      await container.release('one', 'two')
      await expectSuccesses(system, jobs)
      for (const id of jobs.keys())
        expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 4, tries: 1 })
      expect(['one', 'two'].map(container.calls)).toEqual([1, 1])
    },
  )
})

describe('a runner that is blocked', () => {
  const paces = [easyPace, { leaseMs: 60_000, heartbeatMs: 20_000 }]

  test.for(paces)(
    'its main thread stands still for one and a half times a lease of $leaseMs ms, and another waits for work: it keeps its jobs',
    { concurrent: true, timeout: 240_000 },
    async (leases, { onTestFinished }) => {
      const system = await systemOf({ slots: 4, leases, onTestFinished })
      const { container } = system
      const runner = await system.startRunner({ preload: stall })
      await container.hold('one', 'two')
      const jobs = await createAll(system, ['one', 'two'])
      for (const id of jobs.keys()) await started(system, id)
      await system.startRunner({ key: 'other', spool: 'other' })

      const over = new Promise<[from: number, to: number]>(resolve =>
        runner.child.once('message', message => resolve(message as [number, number])),
      )
      runner.child.send(1.5 * leases.leaseMs)
      await container.release('one')
      const [from, to] = await over
      expect(to - from).toBeGreaterThan(leases.leaseMs)
      await container.release('two')
      await expectSuccesses(system, jobs)
      for (const id of jobs.keys())
        expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect(['one', 'two'].map(container.calls)).toEqual([1, 1])
    },
  )
})

describe('a runner that is not heard', () => {
  // 90 s at a lease of 60.
  const starvedMs = 1.5 * pace.leaseMs

  test(
    'its heartbeat thread starves for longer than a lease, nobody else is there: nothing is lost',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container } = system
      const runner = await system.startRunner({ preload: starve })
      await container.hold('job')
      const id = await system.createJob(named('job'))
      await started(system, id)
      const fed = new Promise(resolve => runner.child.once('message', resolve))
      runner.child.send(starvedMs)
      await until('the lease has been put back', async () => {
        await system.edge.runSchedule()
        return (await system.job(id)).state === 'queued'
      })

      await container.release('job')
      await until('it has ended', async () => (await system.job(id)).state === 'success')
      await fed
      expect(costOf(await system.job(id))).toEqual({ state: 'success', attempt: 1, tries: 1 })
      expect(await resultText(system, id)).toBe(successText(id, named('job')))
      expect(container.calls('job')).toBe(1)
    },
  )

  test(
    'the same, and another has claimed the job since: the late result is stale, the other one counts',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container } = system
      const runner = await system.startRunner({ preload: starve })
      await container.holdHalfWay('job')
      const id = await system.createJob(named('job'))
      await started(system, id)
      await system.startRunner({ key: 'other', spool: 'other' })
      const fed = new Promise(resolve => runner.child.once('message', resolve))
      runner.child.send(starvedMs)
      await until('the other has called the container too', () => container.halves('job') === 2)
      expect((await system.job(id)).attempt).toBe(2)

      await container.release('job')
      await runner.said('A result came too late')
      await fed
      await expectSuccesses(system, new Map([[id, 'job']]))
      const { state, attempt } = await system.job(id)
      expect({ state, attempt }).toEqual({ state: 'success', attempt: 2 })
      expect(container.calls('job')).toBe(2)
    },
  )

  test(
    'it is stopped past its lease, another takes its jobs, and it goes on: whatever it writes is refused',
    options,
    async ({ onTestFinished }) => {
      const system = await systemOf({ slots: 4, onTestFinished })
      const { container, gates, db } = system
      const large = `{"name":"large","text":"${'é'.repeat(150_000)}"}`
      const first = await system.startRunner()
      // One has its result in the spool, half uploaded; the other is computing.
      await container.hold('job')
      const job = await system.createJob(named('job'))
      await started(system, job)
      const parts = gates.edge.hold('request', ({ method }) => method === 'PUT')
      const uploading = await system.createJob(large)
      await spooled(first, [uploading])
      await parts.reached()
      first.child.kill('SIGSTOP')
      const oldParts = gates.edge.hold('request', ({ path }) => path.includes('attempt=1'))
      parts.release()

      const second = await system.startRunner({ key: 'other', spool: 'other' })
      await until('the other has both', async () => {
        const both = await Promise.all([system.job(job), system.job(uploading)])
        return both.every(({ attempt }) => attempt === 2)
      })
      first.child.kill('SIGCONT')
      oldParts.release()
      await first.said('A result came too late')
      // By a heartbeat, or by what it waits for to be told, whichever is answered first.
      await Promise.race([first.said('Job lost'), first.said('Job cancelled')])
      await container.release('job')
      await until('both have ended', async () => {
        const both = await Promise.all([system.job(job), system.job(uploading)])
        return both.every(({ state }) => state === 'success')
      })

      expect(await resultText(system, job)).toBe(successText(job, named('job')))
      expect((await resultText(system, uploading)) === successText(uploading, large)).toBe(true)
      const rows = await db.orm.all(`select distinct attempt from parts where kind = 'result'`)
      expect(rows).toEqual([{ attempt: 2 }])
      const second2 = await whoHas(system, job)
      expect(second.output()).toContain(second2)
      expect((await system.job(job)).attempt).toBe(2)
    },
  )
})
