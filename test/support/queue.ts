import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import { migrate } from '../../src/edge/db/migrate.ts'
import type { Db } from '../../src/edge/db/open.ts'
import { type Claimed, type ClaimedRow, type ClaimOptions, claim } from '../../src/edge/jobs/claim.ts'
import { type EnqueueOptions, enqueue, type JobTerms, type NewJob } from '../../src/edge/jobs/enqueue.ts'
import { extend } from '../../src/edge/jobs/extend.ts'
import { type FinishAnswer, type FinishedJob, finish } from '../../src/edge/jobs/finish.ts'
import { register } from '../../src/edge/runners/register.ts'
import { openDb } from '../../src/host/open.ts'
import { startLibsqlServer } from '../../src/local/libsql/server.ts'
import type { HostLabels, Labels } from '../../src/protocol/labels.ts'
import { createDatabaseFile } from './database-file.ts'
import { host as edgeHost } from './hosts.ts'
import { policyOf } from './runner.ts'
import { type SqlProxy, startSqlProxy } from './sql-proxy.ts'

export const leaseMs = 60_000
export const maxTries = 3
export const maxRunMs = 24 * 3_600_000
const expiryMs = 24 * 3_600_000

/** A process of a runner, as the queue knows it. */
export type Host = { runner: string; instance: string }

export type JobFields = {
  state: string
  attempt: number
  tries: number
  runner: string | null
  error_code: string | null
  error_message: string | null
  lease_expires_at: number | null
  finished_at: number | null
  started_at: number | null
  result: string | null
}

/** The queue's operations over a real database, with a clock that the test sets. */
export type Queue = {
  db: Db
  url: string
  proxy: SqlProxy
  clock: { ms: number }
  /** An enrolled runner with one process; `runner`: another process of that runner, or `instance`: the same. */
  host(
    runner?: string,
    labels?: Labels,
    rest?: { gpuLabels?: HostLabels['gpu_labels']; instance?: string },
  ): Promise<Host>
  /** Queues a job; @returns its id. */
  add(options?: {
    route?: string
    owner?: string
    priority?: number
    expiryMs?: number
    data?: string
  }): Promise<string>
  enqueue(options?: Partial<EnqueueOptions>): Promise<Set<string>>
  tryClaim(host: Host, options?: Partial<ClaimOptions>): Promise<Claimed>
  claim(host: Host, options?: Partial<ClaimOptions>): Promise<ClaimedRow[]>
  /** @returns the ids kept. */
  beat(host: Host, leases: readonly Lease[], options?: { started?: boolean }): Promise<string[]>
  finish(host: Host, ...jobs: FinishedJob[]): Promise<FinishAnswer[] | null>
  read(id: string): Promise<JobFields | undefined>
  ids(): Promise<string[]>
  /** Empties the queue; runners stay. */
  clear(): Promise<void>
  close(): Promise<void>
}

export type Lease = { id: string; attempt: number }

type QueueDatabase = { url: string; orm: Db['orm']; proxy: SqlProxy | null; close(): Promise<void> }

async function startServer(path: string): Promise<QueueDatabase> {
  const database = await startLibsqlServer({ path })
  await migrate({ url: database.url })
  const proxy = await startSqlProxy(database.url)
  return {
    url: database.url,
    orm: (await openDb({ url: proxy.url })).orm,
    proxy,
    async close() {
      await proxy.close()
      await database.close()
    },
  }
}

/** A file that the engine in this process opens: nothing passes a proxy. */
async function openFile(): Promise<QueueDatabase> {
  const file = await createDatabaseFile()
  const db = await openDb({ url: file.url })
  return {
    url: file.url,
    orm: db.orm,
    proxy: null,
    async close() {
      db.close()
      await file.close()
    },
  }
}

/** `path`: a file for the server's database, so that others can look into it; absent: one in memory. */
export async function startQueue({ path = ':memory:' }: { path?: string } = {}): Promise<Queue> {
  const database = edgeHost === 'node' ? await openFile() : await startServer(path)
  const { orm } = database
  const clock = { ms: 1_800_000_000_000 }
  const db: Db = {
    orm,
    get now() {
      return sql<number>`${clock.ms}`
    },
  }
  let seq = 0

  const enqueueJobs: Queue['enqueue'] = async (options = {}) => {
    const [policy] = await orm.all<{ epoch: number }>(sql`select epoch from policy`)
    return await enqueue(db, {
      owner: 'ip:192.0.2.1',
      jobs: [newJob()],
      epoch: policy!.epoch,
      bounds: {
        maxQueuedPerOwner: 1_000_000,
        maxQueued: 1_000_000,
        maxBytesPerOwner: 2 ** 40,
        maxBytes: 2 ** 40,
      },
      ...options,
    })
  }

  const tryClaim: Queue['tryClaim'] = async (host, options = {}) => {
    seq += 1
    return await claim(db, {
      ...host,
      seq,
      token: randomUUID(),
      routes: [{ route: 'a', slots: 100 }],
      holding: [],
      max: 8,
      inlineBytes: 1024 * 1024,
      leaseMs,
      maxTries,
      ...options,
    })
  }

  return {
    db,
    url: database.url,
    get proxy() {
      if (!database.proxy) throw new Error('No proxy stands before a file')
      return database.proxy
    },
    clock,
    async host(runner = `runner-${randomUUID()}`, labels, { gpuLabels, instance = randomUUID() } = {}) {
      await orm.run(sql`
        insert into runners (id, name, public_key, enrolled_at) values (${runner}, 'test', 'x', 0) on conflict do nothing`)
      const containers = ['a', 'b', 'c', 'other'].map(id => policyOf(id))
      const told = { labels, gpu_labels: gpuLabels && [...gpuLabels] }
      await register(db, { runner, instance, version: 'test', containers, ...told })
      return { runner, instance }
    },
    async add({ owner = 'ip:192.0.2.1', ...rest } = {}) {
      const job = newJob(rest)
      await enqueueJobs({ owner, jobs: [job] })
      return job.id
    },
    enqueue: enqueueJobs,
    tryClaim,
    claim: async (host, options) => (await tryClaim(host, options)).jobs,
    async beat(host, leases, { started = false } = {}) {
      const named = leases.map(({ id, attempt }) => ({ id, attempt, started }))
      const { kept } = await extend(db, { ...host, leases: named, containers: [], leaseMs, maxRunMs })
      return [...kept]
    },
    finish: async ({ runner }, ...jobs) =>
      (await finish(db, { runner, jobs, streamStoredBytes }))?.answers ?? null,
    async read(id) {
      const [row] = await orm.all<JobFields>(sql`select * from jobs where id = ${id}`)
      return row
    },
    async ids() {
      const rows = await orm.all<{ id: string }>(sql`select id from jobs order by id`)
      return rows.map(row => row.id)
    },
    async clear() {
      await orm.batch([orm.run(sql`delete from jobs`), orm.run(sql`delete from parts`)])
    },
    close: database.close,
  }
}

export const streamStoredBytes = 1024 * 1024

/** What a job has that asks for nothing in particular. */
export const plainTerms: JobTerms = {
  route: 'a',
  requiresProof: false,
  priority: 0,
  timeoutMs: null,
  expiryMs,
  watched: false,
  stream: null,
  endpoint: null,
  once: null,
}

export function newJob({ data = '{}', ...rest }: Partial<NewJob> = {}): NewJob {
  return { id: uuidv7(), ...plainTerms, data, dataBytes: Buffer.byteLength(data), ...rest }
}

/** A successful result of a lease. */
export function result({ id, attempt }: Lease, text = '{"container":"a","output":1}'): FinishedJob {
  return {
    id,
    attempt,
    state: 'success',
    errorCode: null,
    errorMessage: null,
    result: { text, bytes: Buffer.byteLength(text), parts: 0 },
    intermediate: { text: null, bytes: 0, parts: 0 },
    stream: null,
    images: null,
  }
}

/** How far the counters are from what the jobs say: empty when they are right. */
export async function miscounts({ orm }: Db): Promise<unknown[]> {
  return await orm.all(sql`
    with owners as (
      select owner, sum(state in ('receiving', 'queued')) as queued, sum(state = 'running') as running,
        sum(data_bytes * (state in ('receiving', 'queued'))) as bytes
      from jobs where origin = 'queue' and state in ('receiving', 'queued', 'running') group by owner),
    counted as (
      select * from owners union all select '*', coalesce(sum(queued), 0), coalesce(sum(running), 0), coalesce(sum(bytes), 0) from owners),
    kept as (select owner, queued, running, bytes from queue_counts union all
      select '*', 0, 0, 0 where not exists (select 1 from queue_counts where owner = '*')),
    routes as (select route, count(*) as queued from jobs where origin = 'queue' and state = 'queued' group by route)
    select * from (select 'owner' as what, * from counted except select 'owner', * from kept)
    union all select * from (select 'kept owner', * from kept except select 'kept owner', * from counted)
    union all select * from (select 'route', route, queued, 0, 0 from routes except select 'route', route, queued, 0, 0 from queued_routes)
    union all select * from (select 'kept route', route, queued, 0, 0 from queued_routes
      except select 'kept route', route, queued, 0, 0 from routes)`)
}
