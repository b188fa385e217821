import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { type Db, openDb } from '../src/edge/db/open.ts'
import { claim } from '../src/edge/jobs/claim.ts'
import { enqueue } from '../src/edge/jobs/enqueue.ts'
import { finish } from '../src/edge/jobs/finish.ts'
import { listJobs, readJobs } from '../src/edge/jobs/read.ts'
import { sweep } from '../src/edge/jobs/sweep.ts'
import { register } from '../src/edge/runners/register.ts'
import { type LibsqlServer, startLibsqlServer } from '../src/local/libsql/server.ts'
import { routeOf } from '../src/protocol/container.ts'
import { miscounts, newJob, result } from '../test/support/queue.ts'
import { fewOwner, fillDatabase, manyOwner } from './fill.ts'
import type { Report } from './report.ts'

const sizes = { small: 10, large: 1_000_000 }
const sides = ['small', 'large'] as const
const warmUps = 5
const runs = 60

const route = 'ours'
/** Of the same container, for hosts with labels, which the bench's runner has. */
const choosyRoute = routeOf([route], { gpu: 'L4', gpu_memory_gib: 20, region: 'eu' })
const labels = { gpu: ['NVIDIA L4'], gpu_memory_gib: [22], region: ['eu'], arch: ['x64'], os: ['linux'] }
const owner = 'ip:192.0.2.3'
const runner = 'runner-of-the-bench'
const policy = {
  id: route,
  description: '',
  image: '',
  external: true,
  generates_proofs: false,
  openai: false,
  signed_data: false,
  allowed_ips: [],
  allowed_addresses: [],
  allowed_delegate_addresses: [],
  accepted_payments: {},
}
const retentionMs = 7 * 24 * 3_600_000
const leaseMs = 60_000
const maxTries = 3

type Side = {
  db: Db
  server: LibsqlServer
  instance: string
  seq: number
  epoch: number
  /** Of ended jobs, from all over the table. */
  ids: string[]
}

/** Takes the time of what an operation is about, and leaves out what it must do before and after. */
type Time = <Answer>(figure: string, work: () => Promise<Answer>) => Promise<Answer>

/**
 * The queue's operations on a nearly empty database and on one with a million ended and a million waiting jobs of other routes, in
 * turns: what one costs must not depend on the jobs that it is not about. Two databases on disk, with full durability.
 */
export async function benchQueue(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-bench-queue-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  const opened: Side[] = []
  try {
    for (const name of sides) {
      const path = join(folder, `${name}.db`)
      const started = performance.now()
      await fillDatabase(path, sizes[name])
      report(`fill_s_${name}`, (performance.now() - started) / 1000, 's')
      report(`file_mib_${name}`, statSync(path).size / 2 ** 20, 'MiB')
      opened.push(await openSide(path))
    }
    for (const { server } of opened) await checkCounters(server)
    for (const operation of operations) await compare(operation, opened, report)
    for (const { server } of opened) await checkCounters(server)
  } finally {
    for (const { server } of opened) await server.close()
    remove()
    process.off('exit', remove)
  }
}

async function openSide(path: string): Promise<Side> {
  const server = await startLibsqlServer({ path })
  const db = openDb({ url: server.url })
  const instance = randomUUID()
  await db.orm.run(
    sql`insert into runners (id, name, public_key, enrolled_at) values (${runner}, 'bench', 'x', 0)`,
  )
  await register(db, { runner, instance, version: 'bench', containers: [policy], labels })
  const [admission] = await db.orm.all<{ epoch: number }>(sql`select epoch from policy`)
  const rows = await db.orm.all<{ id: string }>(sql`
    select id from jobs where state = 'success' and owner = ${manyOwner}
      and rowid % max(1, (select max(rowid) from jobs) / 500) < 2 limit 200`)
  return { db, server, instance, seq: 0, epoch: admission?.epoch ?? 0, ids: rows.map(({ id }) => id) }
}

/** @throws when the triggers' counters are not what a recount says. */
async function checkCounters({ url }: LibsqlServer): Promise<void> {
  const wrong = await miscounts(openDb({ url, timeoutMs: 300_000 }))
  if (wrong.length > 0) throw new Error(`Counters are wrong: ${JSON.stringify(wrong.slice(0, 5))}`)
}

/** Medians of both databases, timed in turns so that both see the same machine. */
async function compare(operation: Operation, opened: readonly Side[], report: Report): Promise<void> {
  const times = new Map<string, number[][]>()
  for (let run = -warmUps; run < runs; run += 1) {
    // Each goes first as often as the other.
    const turn = run % 2 === 0 ? [...opened.entries()] : [...opened.entries()].toReversed()
    for (const [index, side] of turn) {
      await operation(side, async (figure, work) => {
        const started = performance.now()
        const answer = await work()
        const samples = times.get(figure) ?? sides.map(() => [])
        times.set(figure, samples)
        if (run >= 0) samples[index]?.push(performance.now() - started)
        return answer
      })
    }
  }
  for (const [figure, samples] of times) {
    const [small = Number.NaN, large = Number.NaN] = samples.map(median)
    report(`${figure}_ms_small`, small, 'ms')
    report(`${figure}_ms_large`, large, 'ms')
    report(`${figure}_ratio`, large / small, 'large / small')
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

type Operation = (side: Side, time: Time) => Promise<unknown>

const operations: readonly Operation[] = [
  // In turns, so that both see the same machine.
  async function twoJobs(side, time) {
    await oneJob(side, time, { route, suffix: '' })
    await oneJob(side, time, { route: choosyRoute, suffix: '_requires' })
  },
  (side, time) => time('claim_empty', () => claimOurs(side)),
  (side, time) => time('list_pending_few', () => list(side, fewOwner, true)),
  (side, time) => time('list_ended_few', () => list(side, fewOwner, false)),
  // On the small side these are pages of 3 rows, on the large side of 100.
  (side, time) => time('list_pending_many', () => list(side, manyOwner, true)),
  (side, time) => time('list_ended_many', () => list(side, manyOwner, false)),
  async function readOne({ db, ids }, time) {
    const id = ids.shift() ?? ''
    ids.push(id)
    const rows = await time('read', () => readJobs(db, { owner: manyOwner, ids: [id] }))
    if (rows.length !== 1) throw new Error('A job was not found')
  },
  ({ db }, time) => time('sweep_idle', () => sweep(db, { maxTries, retentionMs })),
  async function sweepDue({ db }, time) {
    await makeDue(db)
    const { lapsed, expired, pruned } = await time('sweep_100', () => sweep(db, { maxTries, retentionMs }))
    if (`${lapsed} ${expired} ${pruned}` !== '40 30 30') throw new Error('The sweep missed something')
  },
]

async function oneJob(
  side: Side,
  time: Time,
  { route: of, suffix }: { route: string; suffix: string },
): Promise<void> {
  const { db, epoch } = side
  const bounds = { maxQueuedPerOwner: 1e9, maxQueued: 1e9, maxBytesPerOwner: 2 ** 40, maxBytes: 2 ** 40 }
  const options = { owner, jobs: [newJob({ route: of })], epoch, bounds }
  const stored = await time(`enqueue${suffix}`, () => enqueue(db, options))
  const [lease] = await time(`claim${suffix}`, () => claimOurs(side))
  if (stored.size !== 1 || !lease) throw new Error('A job was not stored, or not claimed')
  await time(`finish${suffix}`, () => finish(db, { runner, jobs: [result(lease)], streamStoredBytes: 0 }))
}

async function claimOurs(side: Side) {
  side.seq += 1
  const { passed, jobs } = await claim(side.db, {
    runner,
    instance: side.instance,
    seq: side.seq,
    token: randomUUID(),
    routes: [{ route, slots: 8 }],
    holding: [],
    max: 8,
    inlineBytes: 1024 * 1024,
    leaseMs,
    maxTries,
  })
  if (!passed) throw new Error('The claim did not pass')
  return jobs
}

function list({ db }: Side, of: string, pending: boolean) {
  return listJobs(db, { owner: of, pending, limit: 100, before: null })
}

/** 40 lapsed leases for the last time, 30 jobs that waited too long, 30 that ended too long ago. */
async function makeDue({ orm, now }: Db): Promise<void> {
  const ids = JSON.stringify(Array.from({ length: 100 }, () => newJob().id))
  await orm.batch([
    orm.run(sql`
      insert into jobs (id, owner, route, state, attempt, created_at, expires_at, data, data_bytes)
      select value, ${owner}, 'due', 'queued', 10, ${now}, iif(key < 40, ${now} + 60000, ${now} - 1), '{}', 2
      from json_each(${ids}) where key < 70`),
    orm.run(sql`
      update jobs set state = 'running', instance = 'another', lease_expires_at = ${now} - 1
      where id in (select value from json_each(${ids}) where key < 40)`),
    orm.run(sql`
      insert into jobs (id, owner, route, state, created_at, expires_at, finished_at, result, result_bytes)
      select value, ${owner}, 'due', 'success', 0, 0, ${now} - ${retentionMs} - 1, '{}', 2
      from json_each(${ids}) where key >= 70`),
  ])
}
