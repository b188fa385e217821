import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { storePart } from '../../src/edge/jobs/parts.ts'
import { abandonReceive, beginReceive, completeReceive, receivePart } from '../../src/edge/jobs/receive.ts'
import { writeStatus } from '../../src/edge/jobs/status.ts'
import { type SweepOutcome, sweep } from '../../src/edge/jobs/sweep.ts'
import { watch } from '../../src/edge/jobs/watch.ts'
import { limits } from '../../src/protocol/limits.ts'
import { host } from '../support/hosts.ts'
import {
  leaseMs,
  maxTries,
  miscounts,
  newJob,
  plainTerms,
  type Queue,
  result,
  startQueue,
} from '../support/queue.ts'

const retentionMs = 7 * 24 * 3_600_000
const owner = 'ip:192.0.2.1'
const bounds = {
  maxQueuedPerOwner: 1_000_000,
  maxQueued: 1_000_000,
  maxBytesPerOwner: 2 ** 40,
  maxBytes: 2 ** 40,
}

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())
beforeEach(async () => await queue.clear())

const run = () => sweep(queue.db, { maxTries, retentionMs })
const nothing = { lapsed: 0, expired: 0, pruned: 0, requeued: {}, watched: [] }

async function countParts(): Promise<number> {
  const [row] = await queue.db.orm.all<{ count: number }>(sql`select count(*) as count from parts`)
  return row!.count
}

describe('sweep', () => {
  test('default: leaves alone what is neither late nor old', async () => {
    const [waiting, leased] = [await queue.add(), await queue.add({ route: 'b' })]
    await queue.claim(await queue.host(), { routes: [{ route: 'b', slots: 1 }] })
    expect(await run()).toEqual(nothing)
    expect((await queue.read(waiting))?.state).toBe('queued')
    expect((await queue.read(leased))?.state).toBe('running')
  })

  test('behavior: puts lapsed leases back, and says of which routes', async () => {
    for (const route of ['a', 'a', 'a,b']) await queue.add({ route })
    await queue.claim(await queue.host(), { routes: ['a', 'b'].map(route => ({ route, slots: 9 })) })
    queue.clock.ms += leaseMs
    expect(await run()).toEqual({ ...nothing, lapsed: 3, requeued: { a: 2, 'a,b': 1 } })
    expect(await run()).toEqual(nothing)
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: a lapsed lease that was the last try is not among the requeued', async () => {
    const id = await queue.add()
    await queue.claim(await queue.host())
    await queue.db.orm.run(sql`update jobs set tries = ${maxTries} where id = ${id}`)
    queue.clock.ms += leaseMs
    expect(await run()).toEqual({ ...nothing, lapsed: 1 })
    expect((await queue.read(id))?.state).toBe('failed')
  })

  test('behavior: ends what waited too long', async () => {
    const id = await queue.add({ expiryMs: 1_000 })
    queue.clock.ms += 1_000
    expect(await run()).toEqual({ ...nothing, expired: 1 })
    expect(await queue.read(id)).toMatchObject({
      state: 'expired',
      error_code: 'expired',
      finished_at: queue.clock.ms,
    })
    expect(await miscounts(queue.db)).toEqual([])
  })

  test.skipIf(host === 'node')(
    'behavior: what a round did is told, although the next one fails',
    async () => {
      const id = await queue.add({ expiryMs: 1_000 })
      await watch(queue.db, { owner, ids: [id] })
      queue.clock.ms += 1_000
      const told: SweepOutcome[] = []
      const tell = async (outcome: SweepOutcome) => {
        told.push(outcome)
        queue.proxy.down()
      }
      await expect(sweep(queue.db, { maxTries, retentionMs, tell })).rejects.toThrow()
      queue.proxy.up()
      expect(told).toEqual([{ requeued: {}, watched: [id] }])
    },
  )

  test('behavior: says of what waited why no container took it, unless one was ready somewhere', async () => {
    const host = await queue.host()
    const tell = async (id: string, health: object[], agoMs = 0) =>
      await queue.db.orm.run(sql`
        insert into instances (id, runner, version, registered_at, last_seen_at, health)
        values (${id}, ${host.runner}, '1', 0, ${queue.clock.ms - agoMs}, ${JSON.stringify(health)})`)
    const down = (id: string, detail: string) => ({
      id,
      health: 'unhealthy',
      code: 'image_pull_failed',
      detail,
    })
    await tell('one', [down('echo', 'no such image'), { id: 'second', health: 'starting' }])
    await tell('another', [down('echo', 'denied'), down('third', 'denied')], 1_000)
    await tell('silent', [down('fourth', 'denied')], 200_000)
    await tell('ready', [{ id: 'third', health: 'ready' }])
    const routes = ['echo', 'third,second', 'third', 'fourth', "third,echo {'gpu':'h100'}"]
    const ids: string[] = []
    for (const route of routes) ids.push(await queue.add({ route }))
    await queue.db.orm.run(sql`update jobs set expires_at = ${queue.clock.ms}`)
    await run()
    const rows = await queue.db.orm.all<{ id: string; error: string }>(
      sql`select id, error_message as error from jobs where state = 'expired'`,
    )
    const said = 'No runner took the job before it expired.'
    const ofEcho = `${said} Container echo is not ready: image_pull_failed: no such image`
    expect(ids.map(id => rows.find(row => row.id === id)?.error)).toEqual([
      ofEcho,
      `${said} Container second is not ready: starting`,
      said,
      said,
      ofEcho,
    ])
  })

  test('behavior: a job that runs does not expire, however long', async () => {
    const id = await queue.add({ expiryMs: 1_000 })
    const host = await queue.host()
    const [lease] = await queue.claim(host)
    queue.clock.ms += 30_000
    await queue.beat(host, [lease!])
    expect(await run()).toEqual(nothing)
    expect((await queue.read(id))?.state).toBe('running')
  })

  test('behavior: prunes what ended longer ago than the retention, with its parts', async () => {
    const host = await queue.host()
    const [old, young] = [await queue.add(), await queue.add()]
    const leases = await queue.claim(host)
    for (const lease of leases) {
      const part = { kind: 'result' as const, seq: 0, bytes: Uint8Array.of(1) }
      await storePart(queue.db, { runner: host.runner, ...lease, ...part })
    }
    const inParts = (id: string) => ({
      ...result({ id, attempt: 1 }),
      result: { text: null, bytes: 1, parts: 1 },
    })
    expect(await queue.finish(host, inParts(old))).toEqual(['accepted'])
    queue.clock.ms += 1
    expect(await queue.finish(host, inParts(young))).toEqual(['accepted'])
    queue.clock.ms += retentionMs - 1
    expect(await run()).toEqual({ ...nothing, pruned: 1 })
    expect(await queue.ids()).toEqual([young])
    expect(await countParts()).toBe(1)
  })

  test('behavior: prunes more than one statement takes, to the last part', async () => {
    await queue.enqueue({ jobs: Array.from({ length: 250 }, () => newJob()) })
    await queue.db.orm.run(sql`update jobs set state = 'failed', finished_at = 5`)
    await queue.db.orm.run(
      sql`insert into parts (job, kind, attempt, seq, bytes) select id, 'data', 0, 0, x'00' from jobs`,
    )
    expect(await run()).toEqual({ ...nothing, pruned: 250 })
    expect(await queue.ids()).toEqual([])
    expect(await countParts()).toBe(0)
  })

  test('behavior: forgets questions and their answers, and processes unheard of', async () => {
    await queue.host()
    await queue.db.orm.batch([
      queue.db.orm.run(
        sql`insert into questions (id, asked_at) values ('old', ${queue.clock.ms}), ('new', ${queue.clock.ms + retentionMs})`,
      ),
      queue.db.orm.run(sql`insert into answers values ('old', 'x', '{}'), ('new', 'x', '{}')`),
    ])
    queue.clock.ms += retentionMs
    await run()
    expect(await queue.db.orm.all(sql`select id from questions`)).toEqual([{ id: 'new' }])
    expect(await queue.db.orm.all(sql`select question from answers`)).toEqual([{ question: 'new' }])
    expect(await queue.db.orm.all(sql`select id from instances`)).toEqual([])
  })
})

describe('receiving', () => {
  async function begin(id: string = newJob().id): Promise<string> {
    expect(await beginReceive(queue.db, { id, owner, bounds, heldBytes: limits.bodyBytes })).toBe(true)
    await receivePart(queue.db, { id, seq: 0, bytes: Uint8Array.of(0x7b, 0x7d) })
    return id
  }

  async function complete(id: string, epoch?: number): Promise<boolean> {
    const [row] = await queue.db.orm.all<{ epoch: number }>(sql`select epoch from policy`)
    const job = { ...plainTerms, received: id, id, owner, requiresProof: true, dataBytes: 2, dataParts: 1 }
    return await completeReceive(queue.db, { ...job, epoch: epoch ?? row!.epoch })
  }

  test('default: nobody sees or claims a job before its input is whole', async () => {
    const id = await begin()
    const host = await queue.host()
    expect(await queue.claim(host)).toEqual([])
    expect(await complete(id)).toBe(true)
    expect(await queue.claim(host)).toMatchObject([{ id, data: null, data_bytes: 2, requires_proof: 1 }])
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: under a policy that has moved on nothing is queued', async () => {
    const id = await begin()
    expect(await complete(id, 0)).toBe(false)
    expect((await queue.read(id))?.state).toBe('receiving')
  })

  test('behavior: what never became whole is swept away, parts and all', async () => {
    const id = await begin()
    queue.clock.ms += 11 * 60_000
    expect(await run()).toEqual(nothing)
    expect(await queue.ids()).toEqual([])
    expect(await countParts()).toBe(0)
    expect(await complete(id)).toBe(false)
    await receivePart(queue.db, { id, seq: 1, bytes: Uint8Array.of(1) })
    expect(await countParts()).toBe(0)
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: what is given up leaves nothing, and a queued job cannot be given up', async () => {
    const [refused, queued] = [await begin(), await begin()]
    await complete(queued)
    await abandonReceive(queue.db, refused)
    await abandonReceive(queue.db, queued)
    expect(await queue.ids()).toEqual([queued])
    expect(await countParts()).toBe(1)
  })
})

describe('status', () => {
  const status = { owner, id: 'by-hand', state: 'running' as const, containers: ['a', 'b'] }

  test('default: no statement of the queue matches a status, and it counts nowhere', async () => {
    expect(await writeStatus(queue.db, status)).toEqual({ watched: false })
    queue.clock.ms += leaseMs
    const host = await queue.host()
    expect(await queue.claim(host)).toEqual([])
    expect(await queue.beat(host, [{ id: status.id, attempt: 0 }])).toEqual([])
    expect(await queue.finish(host, result({ id: status.id, attempt: 0 }))).toEqual(['stale'])
    expect(await run()).toEqual(nothing)
    expect(await miscounts(queue.db)).toEqual([])
    queue.clock.ms += retentionMs
    expect(await run()).toEqual({ ...nothing, pruned: 1 })
  })

  test("behavior: a job of the queue and another owner's status are left as they are", async () => {
    const id = await queue.add()
    expect(await writeStatus(queue.db, { ...status, id, state: 'success' })).toBeNull()
    expect((await queue.read(id))?.state).toBe('queued')
    await writeStatus(queue.db, status)
    expect(await writeStatus(queue.db, { ...status, owner: 'ip:192.0.2.2', state: 'failed' })).toBeNull()
    expect(await writeStatus(queue.db, { ...status, state: 'failed' })).toEqual({ watched: false })
  })
})
