import { describe, expect, test } from 'vitest'
import type { Job } from '../../src/protocol/job.ts'
import { outputOf } from './container.ts'
import { startLoad } from './load.ts'
import { killed, type RunnerProcess, type System, startSystem } from './system.ts'
import { until } from './until.ts'

const named = (name: string) => `{"name":"${name}"}`

/** Creates a job for each name. @returns names by id. */
async function createAll(system: System, names: readonly string[]): Promise<Map<string, string>> {
  const ids = await Promise.all(names.map(name => system.createJob(named(name))))
  return new Map(ids.map((id, index) => [id, names[index] ?? '']))
}

function idOf(jobs: ReadonlyMap<string, string>, name: string): string {
  const found = [...jobs].find(([, known]) => known === name)
  if (!found) throw new Error(`No job ${name}`)
  return found[0]
}

/** Waits until nothing is queued or running, the cron trigger firing meanwhile, and checks each job's result. */
async function expectSuccesses(system: System, jobs: ReadonlyMap<string, string>): Promise<void> {
  const look = async () => {
    await system.edge.runSchedule()
    return (await pending(system)) === 0
  }
  await until('every job has ended', look, { everyMs: 100 })
  const ids = [...jobs.keys()]
  const ended = new Map<string, unknown>()
  for (let from = 0; from < ids.length; from += 100) {
    const query = ids.slice(from, from + 100).map(id => `id=${id}`)
    const response = await fetch(`${system.url}/api/jobs?${query.join('&')}`)
    for (const { id, status, result } of (await response.json()) as {
      id: string
      status: string
      result: { output: unknown }
    }[])
      ended.set(id, { status, output: result.output })
  }
  const expected = [...jobs].map(
    ([id, name]) => [id, { status: 'success', output: { seen: { name } } }] as const,
  )
  expect(Object.fromEntries(ended)).toEqual(Object.fromEntries(expected))
}

async function pending({ db }: System): Promise<number> {
  const [row] = await db.orm.all<{ jobs: number }>(
    `select count(*) as jobs from jobs where state in ('queued', 'running')`,
  )
  return row?.jobs ?? Number.NaN
}

/** Until the leases of these jobs have lapsed, by the database's clock. */
async function lapsed({ db }: System, ids: readonly string[]): Promise<void> {
  const list = ids.map(id => `'${id}'`).join(', ')
  await until('the leases have lapsed', async () => {
    const [row] = await db.orm.all<{ held: number }>(
      `select count(*) as held from jobs where id in (${list}) and lease_expires_at > unixepoch('subsec') * 1000`,
    )
    return row?.held === 0
  })
}

async function spooled(runner: RunnerProcess, ids: readonly string[]): Promise<void> {
  await until('the results are in the spool', () => {
    const there = new Set(runner.spooled())
    return ids.every(id => there.has(id))
  })
}

/** What a job has cost: leases given, leases started. */
function costOf({ state, attempt, tries }: Job): unknown {
  return { state, attempt, tries }
}

/** When the job's lease lapses unless it is renewed, by the database's clock. */
async function leaseEnd({ db }: System, id: string): Promise<number> {
  const [row] = await db.orm.all<{ at: number }>(`select lease_expires_at as at from jobs where id = '${id}'`)
  return row?.at ?? Number.NaN
}

/** What a client gets for one job, as it is on the wire. */
async function resultText({ url }: System, id = ''): Promise<string> {
  return await (await fetch(`${url}/api/jobs?id=${id}`)).text()
}

function successText(id = '', data: string): string {
  return `[{"id":"${id}","status":"success","result":{"container":"echo","output":${outputOf(data)}}}]`
}

// The stories of a group run side by side: each has a system of its own, and waits for leases to lapse.
const options = { concurrent: true, timeout: 60_000 }

describe('one program is killed, and comes back', () => {
  test(
    'the edge is killed: queued, running and unreported jobs end, and no finished result is computed again',
    options,
    async ({ onTestFinished }) => {
      const system = await startSystem({ slots: 4, onTestFinished })
      const { container, edge } = system
      const runner = await system.startRunner()
      const [finished, running] = [
        ['finished-1', 'finished-2'],
        ['running-1', 'running-2'],
      ]
      container.hold(...finished, ...running)
      const inHand = await createAll(system, [...finished, ...running])
      await until('four are running', () => [...inHand.values()].every(name => container.calls(name) === 1))
      // There is no slot left: these wait in the queue.
      const load = startLoad(system)
      await until('more are queued', () => load.accepted.size >= 20)

      edge.pause()
      container.release(...finished)
      await spooled(
        runner,
        finished.map(name => idOf(inHand, name)),
      )
      await edge.kill()
      const before = { accepted: load.accepted.size, unanswered: load.unanswered() }
      await lapsed(system, [...inHand.keys()])
      await edge.start()
      container.release(...running)
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
      const system = await startSystem({ slots: 4, onTestFinished })
      const { container, database } = system
      await system.startRunner()
      container.hold('held')
      const held = await createAll(system, ['held'])
      const load = startLoad(system)
      await until('jobs come and go', () => container.calls('held') === 1 && container.calls('load-40') === 1)

      await database.kill()
      await until('creates are refused', () => load.refused.length >= 20)
      container.release('held')
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
      const system = await startSystem({ slots: 4, onTestFinished })
      const { container } = system
      const first = await system.startRunner('first')
      container.hold('job')
      const id = await system.createJob(named('job'))
      await until('the edge knows that it has started', async () => (await system.job(id)).tries === 1)

      await killed(first)
      container.release('job')
      const lapsesAt = await leaseEnd(system, id)
      await system.startRunner('second')
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
      const system = await startSystem({ slots: 4, onTestFinished })
      const { container, edge } = system
      const first = await system.startRunner()
      // The second result is uploaded in parts.
      const large = `{"name":"large","text":"${'é'.repeat(150_000)}"}`
      container.hold('small', 'large')
      const ids = [await system.createJob(named('small')), await system.createJob(large)]
      await until('both are running', () => container.calls('small') + container.calls('large') === 2)

      await edge.kill()
      container.release('small', 'large')
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
    const system = await startSystem({ slots: 4, onTestFinished })
    const { container, database, edge } = system
    const runner = await system.startRunner()
    const inHand = ['held-1', 'held-2']
    container.hold(...inHand)
    const held = await createAll(system, inHand)
    const load = startLoad(system)
    await until('jobs come and go', () => container.calls('load-40') === 1)

    await Promise.all([database.kill(), edge.kill(), killed(runner)])
    await load.stop()
    container.release(...inHand)
    await database.start()
    await edge.start()
    await system.startRunner()
    await expectSuccesses(system, new Map([...held, ...load.accepted]))
  })

  test(
    'a runner is told to end: it finishes what it has in hand, takes nothing new, and nothing is lost',
    options,
    async ({ onTestFinished }) => {
      const system = await startSystem({ slots: 2, onTestFinished })
      const { container } = system
      const first = await system.startRunner()
      container.hold('in-hand-1', 'in-hand-2')
      const inHand = await createAll(system, ['in-hand-1', 'in-hand-2'])
      await until('both are running', () => [...inHand.values()].every(name => container.calls(name) === 1))
      const waiting = await createAll(system, ['waiting-1', 'waiting-2', 'waiting-3'])

      first.child.kill('SIGTERM')
      await first.said('Draining')
      container.release('in-hand-1', 'in-hand-2')
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
    const system = await startSystem({ slots: 8, onTestFinished })
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
