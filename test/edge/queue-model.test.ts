import { sql } from 'drizzle-orm'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { maxAttempts } from '../../src/edge/jobs/claim.ts'
import { sweep } from '../../src/edge/jobs/sweep.ts'
import {
  type Host,
  type Lease,
  leaseMs,
  miscounts,
  type Queue,
  result,
  startQueue,
} from '../support/queue.ts'

/**
 * The queue against a model in plain data: who wins each race of report, heartbeat, sweep and claim. After every step the state
 * of every job and all counters are compared.
 */

const expiryMs = 3 * leaseMs
/** So few that random scripts use them up. */
const maxTries = 1
const routes = ['a', 'b', 'a,b']

type ModelJob = {
  id: string
  route: string
  priority: number
  state: 'queued' | 'running' | 'success' | 'failed' | 'expired'
  attempt: number
  tries: number
  startedAttempt: number
  host: number | null
  leaseUntil: number
  expiresAt: number
}
type Model = { jobs: ModelJob[]; now: number }
type Real = { queue: Queue; hosts: Host[] }

const waits = (job: ModelJob) => job.state === 'queued' || job.state === 'running'

function lapse(model: Model): void {
  for (const job of model.jobs) {
    if (job.state === 'running' && job.leaseUntil <= model.now) putBack(job)
  }
}

function putBack(job: ModelJob): void {
  job.state = job.tries >= maxTries || job.attempt >= maxAttempts ? 'failed' : 'queued'
}

/** What the claim must choose: by priority, then age, no more than the slots of each route. */
function choose(model: Model, { slots, max }: { slots: Map<string, number>; max: number }): ModelJob[] {
  const left = new Map(
    routes.map(route => [
      route,
      slots.get(route) ?? Math.min(...route.split(',').map(name => slots.get(name) ?? 0)),
    ]),
  )
  const chosen: ModelJob[] = []
  const waiting = model.jobs.filter(job => job.state === 'queued' && job.expiresAt > model.now)
  for (const job of waiting.toSorted((x, y) => y.priority - x.priority || (x.id < y.id ? -1 : 1))) {
    const free = left.get(job.route) ?? 0
    if (free <= 0 || chosen.length === max) continue
    left.set(job.route, free - 1)
    chosen.push(job)
  }
  return chosen
}

async function check(model: Model, { queue }: Real): Promise<void> {
  const rows = await queue.db.orm.all(sql`select id, state, attempt, tries from jobs order by id`)
  expect(rows).toEqual(model.jobs.map(({ id, state, attempt, tries }) => ({ id, state, attempt, tries })))
  expect(await miscounts(queue.db)).toEqual([])
}

type Step = (model: Model, real: Real) => Promise<void>
type Command = fc.AsyncCommand<Model, Real>

function command(name: string, step: Step): Command {
  return {
    check: () => true,
    async run(model, real) {
      real.queue.clock.ms = model.now
      await step(model, real)
      await check(model, real)
    },
    toString: () => name,
  }
}

const add = (route: string, priority: number) =>
  command(`add(${route}, ${priority})`, async (model, { queue }) => {
    const id = await queue.add({ route, priority, expiryMs })
    const fresh = {
      state: 'queued',
      attempt: 0,
      tries: 0,
      startedAttempt: 0,
      host: null,
      leaseUntil: 0,
    } as const
    model.jobs.push({ id, route, priority, expiresAt: model.now + expiryMs, ...fresh })
  })

const pass = (ms: number) =>
  command(`pass(${ms})`, async model => {
    model.now += ms
  })

type ClaimOf = { host: number; slots: [number, number]; max: number; forgets: boolean }
const claim = (options: ClaimOf) =>
  command(`claim(${JSON.stringify(options)})`, async (model, { queue, hosts }) => {
    const { host, slots, max, forgets } = options
    const listed = [
      { route: 'a', slots: slots[0] },
      { route: 'b', slots: slots[1] },
    ]
    lapse(model)
    const held = model.jobs.filter(job => job.state === 'running' && job.host === host)
    if (forgets) held.forEach(putBack)
    const holding = forgets ? [] : held.map(({ id, attempt }) => ({ id, attempt }))
    const chosen = choose(model, { slots: new Map(listed.map(entry => [entry.route, entry.slots])), max })
    for (const job of chosen) {
      Object.assign(job, {
        state: 'running',
        host,
        attempt: job.attempt + 1,
        leaseUntil: model.now + leaseMs,
      })
    }
    const claimed = await queue.claim(hosts[host]!, { routes: listed, max, holding, maxTries })
    expect(claimed.map(job => job.id).toSorted()).toEqual(chosen.map(job => job.id).toSorted())
  })

/** A lease as some runner remembers it: `behind` attempts ago. */
type Memory = { job: number; behind: number; host: number }

function recall(
  model: Model,
  { job, behind, host }: Memory,
): { job: ModelJob; lease: Lease; valid: boolean } | null {
  const remembered = model.jobs[job % Math.max(model.jobs.length, 1)]
  if (!remembered || remembered.attempt - behind < 1) return null
  const valid = behind === 0 && remembered.host === host && waits(remembered)
  return { job: remembered, lease: { id: remembered.id, attempt: remembered.attempt - behind }, valid }
}

function countTry(job: ModelJob): void {
  if (job.startedAttempt < job.attempt) job.tries += 1
  job.startedAttempt = job.attempt
}

const beat = (memory: Memory, started: boolean) =>
  command(`beat(${JSON.stringify(memory)}, ${started})`, async (model, { queue, hosts }) => {
    const found = recall(model, memory)
    if (!found) return
    const { job, lease, valid } = found
    const kept = await queue.beat(hosts[memory.host]!, [lease], { started })
    expect(kept).toEqual(valid ? [job.id] : [])
    if (!valid) return
    Object.assign(job, { state: 'running', leaseUntil: model.now + leaseMs })
    if (started) countTry(job)
  })

const report = (memory: Memory) =>
  command(`report(${JSON.stringify(memory)})`, async (model, { queue, hosts }) => {
    const found = recall(model, memory)
    if (!found) return
    const { job, lease, valid } = found
    const isStored = job.state === 'success' && memory.behind === 0 && job.host === memory.host
    expect(await queue.finish(hosts[memory.host]!, result(lease))).toEqual([
      valid ? 'accepted' : isStored ? 'duplicate' : 'stale',
    ])
    if (!valid) return
    countTry(job)
    job.state = 'success'
  })

const sweepAll = () =>
  command('sweep()', async (model, { queue }) => {
    lapse(model)
    for (const job of model.jobs) {
      if (job.state === 'queued' && job.expiresAt <= model.now) job.state = 'expired'
    }
    await sweep(queue.db, { maxTries, retentionMs: Number.MAX_SAFE_INTEGER })
  })

const memory = fc.record({
  job: fc.nat(8),
  behind: fc.constantFrom(0, 0, 0, 1),
  host: fc.nat(1),
})
const commands = fc.commands(
  [
    fc
      .tuple(fc.constantFrom(...routes), fc.constantFrom(0, 0, 5))
      .map(([route, priority]) => add(route, priority)),
    fc.constantFrom(1_000, leaseMs / 2, leaseMs, leaseMs * 4).map(pass),
    fc
      .record({
        host: fc.nat(1),
        slots: fc.tuple(fc.nat(3), fc.nat(3)),
        max: fc.integer({ min: 1, max: 4 }),
        forgets: fc.boolean(),
      })
      .map(claim),
    fc.tuple(memory, fc.boolean()).map(([lease, started]) => beat(lease, started)),
    memory.map(report),
    fc.constant(sweepAll()),
  ],
  { maxCommands: 40, size: 'max' },
)

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())

/** Runs a script in an empty queue. @returns the model as it ends. */
async function runScript(script: Iterable<Command>): Promise<Model> {
  await queue.clear()
  const hosts = [await queue.host(), await queue.host()]
  const model: Model = { jobs: [], now: queue.clock.ms }
  await fc.asyncModelRun(() => ({ model, real: { queue, hosts } }), script)
  return model
}

test('default: a script by hand reaches every state, so random ones can', async () => {
  const one = { host: 0, slots: [1, 1], max: 1, forgets: false } satisfies ClaimOf
  const lease = (job: number): Memory => ({ job, behind: 0, host: 0 })
  const { jobs } = await runScript([
    ...[add('a', 0), claim(one), report(lease(0))],
    ...[add('a', 0), claim(one), beat(lease(1), true), pass(leaseMs), sweepAll()],
    ...[add('a,b', 0), pass(expiryMs), sweepAll()],
    ...[add('b', 0), claim(one), add('b', 0)],
  ])
  expect(jobs.map(({ state }) => state)).toEqual(['success', 'failed', 'expired', 'running', 'queued'])
})

test('behavior: the queue does what its model does, and counts right', async () => {
  const property = fc.asyncProperty(commands, async script => void (await runScript(script)))
  await fc.assert(property, { numRuns: 30, endOnFailure: true })
}, 60_000)
