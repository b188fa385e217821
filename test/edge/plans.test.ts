import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cancel } from '../../src/edge/jobs/cancel.ts'
import { readOutlook } from '../../src/edge/jobs/claim.ts'
import { readHindrances } from '../../src/edge/jobs/down.ts'
import { readAdmission, selectExisting } from '../../src/edge/jobs/enqueue.ts'
import { selectHeld } from '../../src/edge/jobs/extend.ts'
import { selectById, selectByKey } from '../../src/edge/jobs/once.ts'
import {
  cancelUnread,
  expireStream,
  readOutput,
  selectUpload,
  storeOutput,
} from '../../src/edge/jobs/output.ts'
import { readParts, selectInput, storePart } from '../../src/edge/jobs/parts.ts'
import { listJobs, readJobs, selectPending, selectResultBytes } from '../../src/edge/jobs/read.ts'
import { abandonReceive, beginReceive, completeReceive, receivePart } from '../../src/edge/jobs/receive.ts'
import { writeStatus } from '../../src/edge/jobs/status.ts'
import { sweep } from '../../src/edge/jobs/sweep.ts'
import { selectUnended, watch } from '../../src/edge/jobs/watch.ts'
import { createPolicyCache } from '../../src/edge/runners/policy.ts'
import { createWhyWaiting } from '../../src/edge/runners/waiting.ts'
import { type Engine, openEngine } from '../../src/local/libsql/engine.ts'
import type { EngineValue } from '../../src/local/libsql/value.ts'
import { limits } from '../../src/protocol/limits.ts'
import { type Host, leaseMs, newJob, plainTerms, type Queue, result, startQueue } from '../support/queue.ts'
import type { Argument, Statement } from '../support/sql-proxy.ts'

/**
 * What the database says it will do for the statements that really go over the wire: each operation is called, its statements are
 * caught on their way, and the plans of exactly these are looked at. The sizes say nothing about time; bench/ does.
 */

const owner = 'ip:192.0.2.1'
const retentionMs = 7 * 24 * 3_600_000

/** What may be walked: arguments, and the claim's own small tables. `queued_routes` has a row for each route, not for each job. */
const walkable =
  /^SCAN (\S+ VIRTUAL TABLE|\d+ CONSTANT ROW|CONSTANT ROW|q |w$|free|registered|told|have|label |one |need |runners|queued_routes|servable|candidate|\(subquery|e |policy)/

type Node = { id: number; parent: number; detail: string }

let folder: string
let queue: Queue
let engine: Engine

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plans-'))
  const path = join(folder, 'queue.db')
  queue = await startQueue({ path })
  engine = openEngine(path)
})
afterAll(async () => {
  engine.close()
  await queue.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A connection of its own each time: one that is open keeps to the statistics that it began with. */
function explain({ sql, args }: Statement): Node[] {
  const connection = openEngine(join(folder, 'queue.db'))
  try {
    const statement = connection.prepare(`explain query plan ${sql}`)
    statement.raw(true)
    return [...statement.iterate(args.map(toValue))].map(([id, parent, , detail]) => ({
      id: Number(id),
      parent: Number(parent),
      detail: String(detail),
    }))
  } finally {
    connection.close()
  }
}

function toValue({ type, value, base64 }: Argument): EngineValue {
  if (type === 'blob') return Buffer.from(base64 ?? '', 'base64') as unknown as EngineValue
  if (type === 'integer') return BigInt(value as string)
  return (type === 'null' ? null : value) as EngineValue
}

/**
 * What is wrong with a plan: a walk through a table that grows, or through all jobs of an owner but for a page of its list, or a sort of
 * more than what was looked up by id.
 */
function problems(statement: Statement): string[] {
  const plan = explain(statement)
  const isPage = /order by created_at desc, id desc limit/.test(statement.sql)
  const walks = plan.filter(
    ({ detail }) => !isPage && /INDEX (jobs_owner|sqlite_autoindex_idempotency)\w* \(owner=\?\)/.test(detail),
  )
  const scans = plan.filter(({ detail }) => detail.startsWith('SCAN ') && !walkable.test(detail))
  const sorts = plan.filter(
    ({ detail, parent }) =>
      detail.startsWith('USE TEMP B-TREE') &&
      plan.some(
        node =>
          node.parent === parent &&
          /^SEARCH (jobs|job|waiting|parts)\b(?!.*\((owner=\? AND )?id=\?\))/.test(node.detail),
      ),
  )
  return [...scans, ...walks, ...sorts].map(
    ({ detail }) => `${detail}   in   ${statement.sql.replace(/\s+/g, ' ')}`,
  )
}

/** Every operation of the queue, on a job or two. @returns the statements that it took. */
async function useAll(): Promise<Statement[]> {
  const { db } = queue
  const [host, streamHost] = [await queue.host(), await queue.host()]
  queue.proxy.takeStatements()
  const [first, second] = [await queue.add(), await queue.add()]
  const routes = [
    { route: 'a', slots: 8 },
    { route: 'b', slots: 1 },
  ]
  const leases = await queue.claim(host, { routes })
  const lease = leases.find(({ id }) => id === first)!
  await readOutlook(db)
  await queue.beat(host, leases, { started: true })
  await selectHeld(db, { runner: host.runner, leases })
  await selectInput(db, { runner: host.runner, ...lease })
  const part = { kind: 'result' as const, seq: 0, bytes: Uint8Array.of(1) }
  await storePart(db, { runner: host.runner, ...lease, ...part })
  for await (const _ of readParts(db, { ...lease, kind: 'result', parts: 1 }));
  await queue.finish(host, result(lease), result({ id: second!, attempt: 99 }))
  const ids = [first!, second!]
  await readJobs(db, { owner, ids })
  for (const intermediate of [true, false]) await selectResultBytes(db, { owner, ids, intermediate })
  for (const pending of [true, false, null]) {
    for (const before of [null, { createdAt: queue.clock.ms, id: second! }])
      await listJobs(db, { owner, pending, limit: 1001, before })
  }
  const { epoch } = await readAdmission(db, owner)
  const bounds = { maxQueuedPerOwner: 1e9, maxQueued: 1e9, maxBytesPerOwner: 2 ** 40, maxBytes: 2 ** 40 }
  for (const { id } of [newJob(), newJob()]) {
    await beginReceive(db, { id, owner, bounds, heldBytes: limits.bodyBytes })
    await receivePart(db, { id, seq: 0, bytes: Uint8Array.of(1) })
    const input = { ...plainTerms, dataBytes: 1, dataParts: 1 }
    await completeReceive(db, { received: id, id, owner, ...input, epoch: id < second! ? epoch : 0 })
    await abandonReceive(db, id)
  }
  const once = { key: 'k', item: 0, fingerprint: 'f' }
  await queue.enqueue({ jobs: [newJob({ once }), newJob({ once: { ...once, key: null } })] })
  await selectExisting(db, { owner, jobs: [newJob({ once })] })
  await selectByKey(db, { owner, ...once })
  await selectById(db, { owner, id: first!, fingerprint: 'f' })
  const large = newJob()
  await beginReceive(db, { id: large.id, owner, bounds, heldBytes: limits.bodyBytes })
  const chosen = { ...large, once, received: large.id, owner, dataBytes: 1, dataParts: 1, epoch }
  await completeReceive(db, chosen)
  await completeReceive(db, { ...chosen, id: newJob().id, once: { ...once, key: null } })
  await useStreams(streamHost)
  await watch(db, { owner, ids })
  await selectUnended(db, { owner, ids })
  await readHindrances(db, 'a,b')
  await cancel(db, { owner, id: second! })
  await writeStatus(db, { owner, id: 'status', state: 'success', containers: [] })
  await sweep(db, { maxTries: 3, retentionMs })
  await selectPending(db, ['chain:1'])
  return queue.proxy.takeStatements()
}

async function useStreams(host: Host): Promise<void> {
  const { db } = queue
  const stream = { unreadMs: 1_000 }
  const waiting = newJob({ stream, route: 'b' })
  await queue.enqueue({ jobs: [newJob({ stream, priority: 10 }), waiting] })
  const [lease] = await queue.claim(host, { routes: [{ route: 'a', slots: 1 }], max: 1 })
  const upload = { runner: host.runner, ...lease! }
  await selectUpload(db, upload)
  let from = 0
  // The first bytes, some that the piece grows by, a piece of its own, and some behind it.
  for (const size of [10, 10, 20_000, 10]) {
    const bytes = new Uint8Array(size)
    if (!(await storeOutput(db, { ...upload, from, bytes, leaseMs }))) throw new Error('Not stored')
    from += size
  }
  for await (const _ of readOutput(db, { ...lease!, from: 5, to: from }));
  await cancelUnread(db, lease!.id)
  await expireStream(db, waiting.id)
  await cancelUnread(db, waiting.id)
}

/** Half of them ended, half of them waiting: for another route, or for a label that no host here has. Of 100 owners. */
function fill(count: number): void {
  engine.exec(`
    insert into jobs (id, owner, route, state, created_at, expires_at, finished_at, result, result_bytes)
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})
    select printf('0%019d', i), 'ip:192.0.2.' || (i / 2 % 100), iif(i / 2 % 2, 'other', 'a {"gpu":"h100"}'), iif(i % 2, 'success', 'queued'), i, 9e15,
      iif(i % 2, ${queue.clock.ms} - i, null), iif(i % 2, '{}', null), 2 from n`)
}

describe('plans', () => {
  test('behavior: of each route a claim seeks no more jobs than a container has slots', async () => {
    const host = await queue.host()
    for (const [slots, expected] of [
      [2, 2],
      [90, 64],
    ] as const) {
      queue.proxy.takeStatements()
      const routes = [
        { route: 'a', slots },
        { route: 'b', slots: 1 },
      ]
      await queue.claim(host, { routes, max: 64 })
      const claimed = queue.proxy.takeStatements().find(({ sql }) => sql.includes('with free'))
      // The limit of each seek, and that of the whole claim, which come last but for the bytes that it carries.
      const numbers = claimed?.args.filter(({ type }) => type === 'integer' || type === 'float')
      expect(numbers?.slice(-3, -1).map(({ value }) => Number(value))).toEqual([expected, 64])
    }
  })

  const states: [string, () => void][] = [
    ['an empty database', () => {}],
    ['an empty database, analysed', () => engine.exec('analyze')],
    ['20,000 ended and 20,000 waiting jobs, analysed while empty', () => fill(40_000)],
    ['20,000 ended and 20,000 waiting jobs, analysed', () => engine.exec('analyze')],
    ['20,000 ended and 20,000 waiting jobs, never analysed', () => engine.exec('delete from sqlite_stat1')],
  ]

  test.for(states)('behavior: no walk and no sort over jobs or parts with %s', async ([, prepare]) => {
    prepare()
    const statements = await useAll()
    expect(new Set(statements.map(({ sql }) => sql)).size).toBeGreaterThan(30)
    expect(statements.flatMap(problems)).toEqual([])
  })

  test('behavior: a walk and a sort would be seen', () => {
    const seen = (sql: string) => problems({ sql, args: [] })
    expect(seen(`select id from jobs where state = 'running'`)).not.toEqual([])
    expect(seen('select sum(length(bytes)) from parts')).not.toEqual([])
    expect(seen(`select state from jobs where owner = 'x' and state = 'queued'`)).not.toEqual([])
    expect(seen(`select id from jobs where owner = 'x' order by expires_at`)).not.toEqual([])
    expect(seen(`select id from jobs as job where job.owner = 'x' order by result`)).not.toEqual([])
  })

  test('behavior: of all who look at jobs that wait for hosts that are away, one a second asks the database', async () => {
    await queue.host()
    const { db, clock } = queue
    const now = () => clock.ms
    const snapshot = await createPolicyCache({ db, now }).read()
    const away = { ...snapshot, live: [] }
    const whyWaiting = createWhyWaiting({ db, now })
    const statementsOf = async (view: typeof snapshot, route: string) => {
      queue.proxy.takeStatements()
      expect(await whyWaiting(view, route)).toMatchObject({ code: 'not_ready' })
      return queue.proxy.takeStatements()
    }
    const asked = await statementsOf(away, 'a,b')
    expect(asked).toHaveLength(2)
    // Of processes, those that were heard of lately.
    expect(asked.map(statement => explain(statement).map(({ detail }) => detail))).toEqual(
      asked.map(() =>
        expect.arrayContaining(['SEARCH instances USING INDEX instances_seen (last_seen_at>?)']),
      ),
    )
    clock.ms += 999
    expect(await statementsOf(away, 'a,b')).toEqual([])
    expect(await statementsOf(away, 'a')).toHaveLength(2)
    clock.ms += 1
    expect(await statementsOf(away, 'a,b')).toHaveLength(2)
    expect(await statementsOf(away, 'a,b')).toEqual([])
    // Another policy may have other reasons.
    expect(await statementsOf({ ...away }, 'a,b')).toHaveLength(2)
  })

  test('behavior: the claim seeks in the index made for it', async () => {
    const host = await queue.host()
    queue.proxy.takeStatements()
    await queue.claim(host)
    const plan = queue.proxy.takeStatements().flatMap(explain)
    expect(plan.map(({ detail }) => detail)).toEqual(
      expect.arrayContaining([
        'SEARCH waiting USING COVERING INDEX jobs_claim (route=?)',
        'SEARCH jobs USING INDEX jobs_instance (instance=?)',
        'SEARCH jobs USING INDEX jobs_lease (lease_expires_at<?)',
      ]),
    )
  })
})
