import { sql } from 'drizzle-orm'
import * as fc from 'fast-check'
import { uuidv7 } from 'uuidv7'
import { expect } from 'vitest'
import { cancel } from '../../../src/edge/jobs/cancel.ts'
import { selectById, selectByKey } from '../../../src/edge/jobs/once.ts'
import { cancelUnread, expireStream, storeOutput } from '../../../src/edge/jobs/output.ts'
import { abandonReceive, beginReceive, completeReceive } from '../../../src/edge/jobs/receive.ts'
import { sweep } from '../../../src/edge/jobs/sweep.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { type Host, leaseMs, miscounts, newJob, plainTerms, type Queue, result } from '../../support/queue.ts'
import type { Model, ModelJob, Remembered } from './model.ts'
import * as model from './model.ts'

/** What may happen to a queue, message by message, each against the real one and its model. */

export type Real = { queue: Queue; hosts: Host[] }
export type Command = fc.AsyncCommand<Model, Real>
type Step = (state: Model, real: Real) => Promise<void>

export const owner = 'ip:192.0.2.1'
export const routes = ['a', 'b', 'a,b']
const bounds = { maxQueuedPerOwner: 1e6, maxQueued: 1e6, maxBytesPerOwner: 2 ** 40, maxBytes: 2 ** 40 }

function command(name: string, step: Step): Command {
  return {
    check: () => true,
    async run(state, real) {
      real.queue.clock.ms = state.now
      await step(state, real)
      await compare(state, real)
    },
    toString: () => name,
  }
}

/** Every job, every counter, every key. */
async function compare(state: Model, { queue, hosts }: Real): Promise<void> {
  const rows = await queue.db.orm.all(
    sql`select id, state, attempt, tries, instance, stream_bytes as output from jobs order by id`,
  )
  const expected = state.jobs.map(job => ({
    id: job.id,
    state: job.state,
    attempt: job.attempt,
    tries: job.tries,
    output: job.output,
    instance: job.host === null ? null : hosts[job.host]?.instance,
  }))
  expect(rows).toEqual(expected.toSorted((x, y) => (x.id < y.id ? -1 : 1)))
  expect(await queue.db.orm.all(sql`select key, job from idempotency order by key`)).toEqual(
    state.keys.map(({ key, job }) => ({ key, job })).toSorted((x, y) => (x.key < y.key ? -1 : 1)),
  )
  expect(await miscounts(queue.db)).toEqual([])
  expect(await queue.db.orm.all(outputs)).toEqual([])
}

/** Output that is not as long as its job says, or another attempt's: nobody could read it again. */
const outputs = sql`
  select id, stream_bytes from jobs where stream_bytes <> (
    select coalesce(sum(length(bytes)), 0) from parts where job = jobs.id and kind = 'stream' and attempt = jobs.attempt)`

const epochOf = async ({ queue }: Real) =>
  (await queue.db.orm.all<{ epoch: number }>(sql`select epoch from policy`))[0]?.epoch ?? 0

export const add = (route: string, priority: number) =>
  command(`add(${route}, ${priority})`, async (state, { queue }) => {
    const id = await queue.add({ route, priority, expiryMs: model.expiryMs })
    model.addJob(state, { id, route, priority, fingerprint: null })
  })

export const addStream = () =>
  command('addStream()', async (state, { queue }) => {
    const { id, ...job } = newJob({ expiryMs: model.expiryMs, stream: { unreadMs: 1_000 } })
    await queue.enqueue({ owner, jobs: [{ id, ...job }] })
    model.addJob(state, { id, route: 'a', priority: 0, fingerprint: null })
    Object.assign(state.jobs.at(-1)!, { isStream: true })
  })

/** A request under a key, with one of two bodies. */
export const addOnce = (key: string, fingerprint: string) =>
  command(`addOnce(${key}, ${fingerprint})`, async (state, { queue }) => {
    const job = newJob({ expiryMs: model.expiryMs, once: { key, item: 0, fingerprint } })
    const stored = await queue.enqueue({ owner, jobs: [job] })
    const earlier = state.keys.find(known => known.key === key)
    expect(stored.size).toBe(earlier ? 0 : 1)
    const conflict = earlier !== undefined && earlier.fingerprint !== fingerprint
    const expected = { conflict, jobs: new Map([[0, earlier?.job ?? job.id]]) }
    expect(await selectByKey(queue.db, { owner, key, fingerprint })).toEqual(expected)
    if (earlier) return
    state.keys.push({ key, fingerprint, job: job.id, createdAt: state.now })
    model.addJob(state, { id: job.id, route: 'a', priority: 0, fingerprint })
  })

/** A `PUT` under one of few ids, with one of two bodies. */
export const put = (id: string, fingerprint: string) =>
  command(`put(${id}, ${fingerprint})`, async (state, { queue }) => {
    const once = { key: null, item: 0, fingerprint }
    const stored = await queue.enqueue({ owner, jobs: [newJob({ id, expiryMs: model.expiryMs, once })] })
    const earlier = state.jobs.find(job => job.id === id)
    expect(stored.size).toBe(earlier ? 0 : 1)
    const conflict = earlier !== undefined && earlier.fingerprint !== fingerprint
    expect((await selectById(queue.db, { owner, id, fingerprint })).conflict).toBe(conflict)
    if (!earlier) model.addJob(state, { id, route: 'a', priority: 0, fingerprint })
  })

export const begin = () =>
  command('begin()', async (state, { queue }) => {
    const id = uuidv7()
    expect(await beginReceive(queue.db, { id, owner, bounds, heldBytes: limits.bodyBytes })).toBe(true)
    model.addJob(state, { id, route: '', priority: 0, fingerprint: null }, 'receiving')
  })

/** `under`: the id that its maker chose; null: none. */
export const complete = (which: number, under: string | null) =>
  command(`complete(${which}, ${under})`, async (state, real) => {
    const job = pick(state.jobs, which)
    if (!job) return
    const id = under ?? job.id
    const once = under === null ? null : { key: null, item: 0, fingerprint: 'large' }
    const terms = { ...plainTerms, expiryMs: model.expiryMs, once, dataBytes: 2, dataParts: 1 }
    const done = { ...terms, received: job.id, id, owner, epoch: await epochOf(real) }
    const isFree = id === job.id || !state.jobs.some(other => other.id === id)
    const isDone = job.state === 'receiving' && isFree
    expect(await completeReceive(real.queue.db, done)).toBe(isDone)
    if (!isDone) return
    const fingerprint = once?.fingerprint ?? null
    Object.assign(job, {
      id,
      state: 'queued',
      route: 'a',
      expiresAt: state.now + model.expiryMs,
      fingerprint,
    })
  })

export const abandon = (which: number) =>
  command(`abandon(${which})`, async (state, { queue }) => {
    const job = pick(state.jobs, which)
    if (!job) return
    await abandonReceive(queue.db, job.id)
    if (job.state === 'receiving') state.jobs = state.jobs.filter(other => other !== job)
  })

export const pass = (ms: number) =>
  command(`pass(${ms})`, async state => {
    state.now += ms
  })

export type ClaimOf = {
  host: number
  slots: readonly [number, number]
  max: number
  /** What it names of its leases: all; none, as one whose answers were lost; attempts before those, as one that mixes them up. */
  names: 'all' | 'none' | 'old'
  /** Overtaken on the way by a later one. */
  isLate: boolean
}
export const claim = (options: ClaimOf) =>
  command(`claim(${JSON.stringify(options)})`, async (state, { queue, hosts }) => {
    const { host, slots, max, names, isLate } = options
    const listed = [
      { route: 'a', slots: slots[0] },
      { route: 'b', slots: slots[1] },
    ]
    // Lapsed ones that nobody has taken since are among them.
    const held = state.jobs.filter(job => model.waits(job) && job.host === host)
    const behind = names === 'old' ? 1 : 0
    const holding = names === 'none' ? [] : held.map(({ id, attempt }) => ({ id, attempt: attempt - behind }))
    const isOvertaken = isLate && state.claimed[host] === true
    const expected = model.claim(state, {
      host,
      slots: new Map(listed.map(entry => [entry.route, entry.slots])),
      max,
      holding: new Set(holding.map(({ id, attempt }) => `${id}:${attempt}`)),
      isLate: isOvertaken,
    })
    const asked = {
      routes: listed,
      max,
      holding,
      maxTries: model.maxTries,
      ...(isOvertaken ? { seq: 0 } : {}),
    }
    const { passed, jobs } = await queue.tryClaim(hosts[host]!, asked)
    expect(passed).toBe(expected !== null)
    expect(jobs.map(({ id }) => id).toSorted()).toEqual((expected ?? []).toSorted())
  })

/** A lease as some process remembers it: of one of the jobs, some attempts ago. */
export type Memory = { job: number; behind: number; host: number }

function recall(state: Model, { job, behind, host }: Memory): Remembered | null {
  const remembered = pick(state.jobs, job)
  if (!remembered || remembered.attempt - behind < 1) return null
  return { job: remembered, attempt: remembered.attempt - behind, host }
}

export const beat = (memory: Memory, started: boolean) =>
  command(`beat(${JSON.stringify(memory)}, ${started})`, async (state, { queue, hosts }) => {
    const lease = recall(state, memory)
    if (!lease) return
    const { id } = lease.job
    const kept = await queue.beat(hosts[memory.host]!, [{ id, attempt: lease.attempt }], { started })
    expect(kept).toEqual(model.beat(state, lease, { started }) ? [id] : [])
  })

/** `times`: how often the result stands in the one message. */
export const report = (memory: Memory, status: 'success' | 'failed', times: number) =>
  command(`report(${JSON.stringify(memory)}, ${status}, ${times})`, async (state, { queue, hosts }) => {
    const lease = recall(state, memory)
    if (!lease) return
    const said = { ...result({ id: lease.job.id, attempt: lease.attempt }), state: status }
    const answers = await queue.finish(hosts[memory.host]!, ...Array.from({ length: times }, () => said))
    const expected = Array.from({ length: times }, () => model.report(state, lease, status))
    expect(answers).toEqual(expected[0] === null ? null : expected)
  })

/** The byte that follows, or one that does not. */
export const output = (memory: Memory, follows: boolean) =>
  command(`output(${JSON.stringify(memory)}, ${follows})`, async (state, { queue, hosts }) => {
    const lease = recall(state, memory)
    if (!lease) return
    const from = lease.job.output + (follows ? 0 : 1)
    const { runner } = hosts[memory.host]!
    const upload = {
      runner,
      id: lease.job.id,
      attempt: lease.attempt,
      from,
      bytes: Uint8Array.of(1),
      leaseMs,
    }
    expect(await storeOutput(queue.db, upload)).toBe(follows && model.output(state, lease))
  })

export const leaveUnread = (which: number) =>
  command(`leaveUnread(${which})`, async (state, { queue }) => {
    const job = pick(state.jobs, which)
    if (!job) return
    const isEnded = job.isStream && model.waits(job)
    expect((await cancelUnread(queue.db, job.id)) !== null).toBe(isEnded)
    if (isEnded) model.end(state, job, 'cancelled')
  })

export const expireOne = (which: number) =>
  command(`expireOne(${which})`, async (state, { queue }) => {
    const job = pick(state.jobs, which)
    if (!job) return
    const isDue = job.isStream && job.state === 'queued' && job.expiresAt <= state.now
    expect((await expireStream(queue.db, job.id)).expired).toBe(isDue)
    if (isDue) model.end(state, job, 'expired')
  })

export const cancelOne = (which: number, isOwner: boolean) =>
  command(`cancel(${which}, ${isOwner})`, async (state, { queue, hosts }) => {
    const job = pick(state.jobs, which)
    if (!job) return
    const ended = await cancel(queue.db, { owner: isOwner ? owner : 'ip:192.0.2.2', id: job.id })
    const instance = job.host === null ? null : hosts[job.host]?.instance
    const isEnded = isOwner && model.waits(job)
    expect(ended).toEqual(isEnded ? { instance, watched: false } : null)
    if (isEnded) model.end(state, job, 'cancelled')
  })

export const sweepAll = () =>
  command('sweep()', async (state, { queue }) => {
    model.sweep(state)
    // Processes are forgotten when they are silent for as long as jobs are kept; here they stay.
    await queue.db.orm.run(sql`update instances set last_seen_at = ${Number.MAX_SAFE_INTEGER}`)
    await sweep(queue.db, { maxTries: model.maxTries, retentionMs: model.retentionMs })
  })

export const setRevoked = (runner: number, isRevoked: boolean) =>
  command(`setRevoked(${runner}, ${isRevoked})`, async (state, { queue, hosts }) => {
    const host = hosts[model.runnerOf.indexOf(runner as 0 | 1)]!
    await queue.db.orm.run(
      sql`update runners set revoked_at = ${isRevoked ? state.now : null} where id = ${host.runner}`,
    )
    state.revoked[runner] = isRevoked
  })

function pick(jobs: readonly ModelJob[], which: number): ModelJob | undefined {
  return jobs[which % Math.max(jobs.length, 1)]
}

const memory = fc.record({ job: fc.nat(8), behind: fc.constantFrom(0, 0, 0, 1), host: fc.nat(2) })
const chosenIds = ['00000000-0000-4000-8000-000000000001', 'ffffffff-0000-4000-8000-000000000002']
const body = fc.constantFrom('one', 'other')
const times = fc.constantFrom(1_000, leaseMs / 2, leaseMs, leaseMs * 4, -leaseMs / 2, limits.idempotencyMs)

/** Scripts of all of the above. */
export const scripts = fc.commands(
  [
    fc.tuple(fc.constantFrom(...routes), fc.constantFrom(0, 0, 5)).map(([route, n]) => add(route, n)),
    fc.tuple(fc.constantFrom('k1', 'k2'), body).map(([key, fingerprint]) => addOnce(key, fingerprint)),
    fc.tuple(fc.constantFrom(...chosenIds), body).map(([id, fingerprint]) => put(id, fingerprint)),
    fc.constant(begin()),
    fc.tuple(fc.nat(8), fc.constantFrom(null, ...chosenIds)).map(([job, under]) => complete(job, under)),
    fc.nat(8).map(abandon),
    times.map(pass),
    fc
      .record({
        host: fc.nat(2),
        slots: fc.tuple(fc.nat(3), fc.nat(3)),
        max: fc.integer({ min: 1, max: 4 }),
        names: fc.constantFrom('all', 'all', 'none', 'old'),
        isLate: fc.constantFrom(false, false, false, true),
      })
      .map(claim),
    fc.tuple(memory, fc.boolean()).map(([lease, started]) => beat(lease, started)),
    fc
      .tuple(memory, fc.constantFrom('success', 'failed'), fc.constantFrom(1, 1, 2))
      .map(([lease, status, count]) => report(lease, status, count)),
    fc.constant(addStream()),
    fc.tuple(memory, fc.constantFrom(true, true, false)).map(([lease, follows]) => output(lease, follows)),
    fc.nat(8).map(leaveUnread),
    fc.nat(8).map(expireOne),
    fc.tuple(fc.nat(8), fc.constantFrom(true, true, false)).map(([job, mine]) => cancelOne(job, mine)),
    fc.constant(sweepAll()),
    fc.tuple(fc.nat(1), fc.constantFrom(true, false, false)).map(([runner, off]) => setRevoked(runner, off)),
  ],
  { maxCommands: 60, size: 'max' },
)
