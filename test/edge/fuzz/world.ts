import { sql } from 'drizzle-orm'
import { type Db, openDb } from '../../../src/edge/db/open.ts'
import type { ClaimedJob } from '../../../src/protocol/runner.ts'
import { startDatabase, startTestEdge, type TestEdge } from '../../support/edge.ts'
import { miscounts } from '../../support/queue.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../../support/runner.ts'
import { type SqlProxy, startSqlProxy } from '../../support/sql-proxy.ts'
import { type Operation, readOperations } from './document.ts'

/** An edge with something to lose: jobs and runners of others, in every state. */
export type World = {
  edge: TestEdge
  /** The database, past the proxy that counts the edge's statements. */
  db: Db
  proxy: SqlProxy
  operations: Operation[]
  /** Nobody shall touch what is theirs. */
  victim: TestRunner
  /** Enrolled, with good keys and bad intentions. Serves `echo`. */
  liar: TestRunner
  /** Leases of the liar. */
  leases: ClaimedJob[]
  victims: { ids: string[]; secret: string }
  addresses: { victim: string; stranger: string }
  /** Everything that is stored, as far as it may matter; `theirs`: that of the victims. */
  stored(): Promise<{ all: string; theirs: string }>
  /** From here on, `tidy` puts everything back to how it is at this moment. */
  keep(): Promise<void>
  tidy(): Promise<void>
  /** Makes all runners out of date, so that `GET /resources` waits for none. */
  silence(): Promise<void>
  miscounts(): Promise<unknown[]>
  [Symbol.asyncDispose](): Promise<void>
}

const addresses = { victim: '192.0.2.1', client: '192.0.2.2', stranger: '203.0.113.7' }
const secret = 'the-secret-of-the-victim'

export async function startWorld({ vars = {} }: { vars?: Record<string, string> } = {}): Promise<World> {
  const database = await startDatabase()
  const proxy = await startSqlProxy(database.url)
  // Leases that lapse in the middle of a run would be changes that nobody asked for.
  const edge = await startTestEdge({
    databaseUrl: proxy.url,
    vars: { LEASE_SECONDS: '3600', MAX_QUEUED_PER_OWNER: '500', ...vars },
  })
  const db = openDb({ url: database.url })
  const victim = await startTestRunner(edge, [policyOf('victim'), policyOf('echo')])
  const liar = await startTestRunner(edge, [policyOf('echo')])
  const ids = await addVictims(edge, victim)
  for (let n = 0; n < 3; n += 1) {
    await edge.createJob({ containers: ['echo'], data: { n } }, { ip: addresses.client })
  }
  const leases = await liar.claim({ max: 3 })
  await keep(db)

  return {
    edge,
    db,
    proxy,
    operations: await readOperations(edge),
    victim,
    liar,
    leases,
    victims: { ids, secret },
    addresses,
    async stored() {
      const [rows] = await db.orm.all<{ all: string; theirs: string }>(snapshot(victim))
      return rows ?? { all: '', theirs: '' }
    },
    keep: async () => await keep(db),
    tidy: async () => await tidy(db),
    async silence() {
      await db.orm.run('update instances set last_seen_at = last_seen_at - 3600000')
      // The policy that an isolate has is good for a second.
      while ((await edge.request('/ready')).status !== 503);
    },
    miscounts: async () => await miscounts(db),
    async [Symbol.asyncDispose]() {
      await edge[Symbol.asyncDispose]()
      await proxy.close()
      await database.close()
    },
  }
}

/** A job that waits, one that runs, one that has ended, one with its input and its result in parts. @returns their ids. */
async function addVictims(edge: TestEdge, victim: TestRunner): Promise<string[]> {
  const ids: string[] = []
  const add = async (data: object) => {
    ids.push(
      await edge.createJob({ containers: ['victim'], data: { secret, ...data } }, { ip: addresses.victim }),
    )
  }
  const claim = async (holding: ClaimedJob[]) =>
    await victim.claim({ max: 1, holding, routes: [{ route: 'victim', slots: 1 }] })
  await add({ ended: true })
  await victim.report((await claim([])).map(job => success(job, `"${secret}"`)))
  await add({ large: 'x'.repeat(300_000) })
  const [large] = await claim([])
  await victim.send(`/runner/jobs/${large?.id}/result/0?attempt=1&kind=result`, {
    method: 'PUT',
    body: 'x'.repeat(70_000),
  })
  await add({ running: true })
  await claim(large ? [large] : [])
  await add({ waiting: true })
  return ids
}

/** One statement for all tables, so that the whole is of one moment. */
function snapshot(victim: TestRunner) {
  const owner = `ip:${addresses.victim}`
  // What a question, or a lease's own holder, may change at any time is not among the columns.
  const job =
    sql.raw(`json_array(id, owner, origin, route, state, priority, attempt, tries, started_attempt, runner, instance, lease_expires_at,
    created_at, expires_at, finished_at, error_code, data_bytes, data_parts, result_bytes, result_parts, result, data, fingerprint)`)
  return sql`
    with job as (select owner, ${job} as row from jobs order by id),
      part as (select owner, json_array(job, kind, parts.attempt, seq, length(bytes)) as row
        from parts left join jobs on jobs.id = parts.job order by job, kind, seq),
      host as (select id, json_array(id, name, public_key, mode, revoked_at, containers) as row from runners order by id),
      process as (select runner, json_array(id, runner, version, registered_at, claim_seq, ready, health) as row from instances order by id)
    select json_array(
      (select json_group_array(row) from job), (select json_group_array(row) from part),
      (select json_group_array(row) from host), (select json_group_array(row) from process),
      (select json_group_array(json_array(owner, key, item, fingerprint, job)) from idempotency),
      (select json_group_array(json_array(owner, queued, running, bytes)) from queue_counts where queued + running + bytes > 0),
      (select json_group_array(json_array(route, queued)) from queued_routes),
      (select json_group_array(json_array(question, instance, answer)) from answers),
      (select json_group_array(id) from questions)
    ) as "all", json_array(
      (select json_group_array(row) from job where owner = ${owner}), (select json_group_array(row) from part where owner = ${owner}),
      (select row from host where id = ${victim.id}), (select json_group_array(row) from process where runner = ${victim.id})
    ) as theirs`
}

const tables = ['jobs', 'parts', 'runners', 'instances']

async function keep({ orm }: Db): Promise<void> {
  for (const table of tables) {
    await orm.run(`drop table if exists kept_${table}`)
    await orm.run(`create table kept_${table} as select * from ${table}`)
  }
  // Jobs begin in the queue: nothing else is counted.
  await orm.run('drop table if exists new_jobs')
  await orm.run('create table new_jobs as select * from jobs')
  await orm.run(`update new_jobs set state = 'queued'`)
}

/** Rows are changed back, not replaced, since triggers count what changes. */
async function tidy({ orm }: Db): Promise<void> {
  const theirs = sql.raw(`'ip:${addresses.victim}'`)
  await orm.batch([
    orm.run(sql`delete from jobs where owner <> ${theirs}`),
    orm.run(sql`insert into jobs select * from new_jobs where owner <> ${theirs}`),
    orm.run(
      sql`update jobs set state = kept.state from kept_jobs as kept where kept.id = jobs.id and kept.state <> jobs.state`,
    ),
    orm.run(sql`delete from parts where job not in (select id from jobs where owner = ${theirs})`),
    orm.run(sql`insert into parts select * from kept_parts where true on conflict do nothing`),
    orm.run(sql`delete from idempotency`),
    orm.run(sql`delete from answers`),
    orm.run(sql`delete from runners where id not in (select id from kept_runners)`),
    orm.run(sql`update runners set name = kept.name, mode = kept.mode, revoked_at = kept.revoked_at, containers = kept.containers
      from kept_runners as kept where kept.id = runners.id
        and (runners.name, runners.mode, runners.revoked_at, runners.containers)
          is not (kept.name, kept.mode, kept.revoked_at, kept.containers)`),
    orm.run(sql`delete from instances where id not in (select id from kept_instances)`),
    orm.run(sql`update instances set version = kept.version, claim_seq = kept.claim_seq, ready = kept.ready, health = kept.health
      from kept_instances as kept where kept.id = instances.id`),
  ])
}
