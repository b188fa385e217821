import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { readAdmission } from '../../src/edge/jobs/enqueue.ts'
import { beginReceive, completeReceive } from '../../src/edge/jobs/receive.ts'
import { enrol } from '../../src/edge/runners/enrol.ts'
import { limits } from '../../src/protocol/limits.ts'
import { maxRunMs, miscounts, newJob, plainTerms, type Queue, result, startQueue } from '../support/queue.ts'

const [me, other] = ['ip:192.0.2.1', 'ip:192.0.2.2']
const bounds = { maxQueuedPerOwner: 10, maxQueued: 15, maxBytesPerOwner: 2 ** 40, maxBytes: 2 ** 40 }

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())
beforeEach(async () => await queue.clear())

const containers = ['a', 'b', 'c', 'other']
/** A route for each index. */
const chain = (index: number) =>
  [4096, 1024, 256, 64, 16, 4, 1].map(place => containers[Math.floor(index / place) % 4]).join(',')
const many = (length: number) => Array.from({ length }, () => newJob())

test('default: 50 at once store as many as the owner may have', async () => {
  const stored = await Promise.all(Array.from({ length: 50 }, () => queue.enqueue({ bounds })))
  expect(stored.filter(ids => ids.size === 1)).toHaveLength(10)
  expect(await readAdmission(queue.db, me)).toMatchObject({ owned: 10 })
})

test('behavior: many owners at once store as many as the queue may hold', async () => {
  const owners = Array.from({ length: 50 }, (_, index) => `ip:192.0.2.${index}`)
  const stored = await Promise.all(owners.map(owner => queue.enqueue({ owner, bounds })))
  expect(stored.filter(ids => ids.size === 1)).toHaveLength(15)
})

test('behavior: batches at once store their first jobs, to the bound exactly', async () => {
  const batches = Array.from({ length: 8 }, () => many(4))
  const stored = await Promise.all(batches.map(jobs => queue.enqueue({ jobs, bounds })))
  expect(stored.map(ids => ids.size).reduce((sum, size) => sum + size)).toBe(10)
  stored.forEach((ids, index) => {
    const first = batches[index]!.slice(0, ids.size).map(job => job.id)
    expect([...ids]).toEqual(first)
  })
})

test('behavior: a batch of more than one statement stops at the bound, without gaps', async () => {
  const data = `"${'x'.repeat(300 * 1024)}"`
  const jobs = Array.from({ length: 14 }, (_, index) => newJob({ data: index === 9 ? '{}' : data }))
  const stored = await queue.enqueue({ jobs, bounds })
  expect([...stored]).toEqual(jobs.slice(0, 10).map(job => job.id))
})

test('behavior: a batch of more than one statement that is sent again goes on after what it has made', async () => {
  const data = `"${'x'.repeat(300 * 1024)}"`
  const request = () =>
    Array.from({ length: 14 }, (_, item) => newJob({ data, once: { key: 'k', item, fingerprint: 'f' } }))
  expect(
    await queue.enqueue({ jobs: request(), bounds: { ...bounds, maxQueuedPerOwner: 4 } }),
  ).toHaveProperty('size', 4)
  const again = request()
  const stored = await queue.enqueue({ jobs: again })
  expect([...stored]).toEqual(again.slice(4).map(({ id }) => id))
  await queue.db.orm.run('delete from idempotency')
})

test('behavior: large inputs on their way count', async () => {
  await queue.enqueue({ jobs: many(8), bounds })
  const begun = await Promise.all(
    many(6).map(({ id }) => beginReceive(queue.db, { id, owner: me, bounds, heldBytes: limits.bodyBytes })),
  )
  expect(begun.filter(Boolean)).toHaveLength(2)
  expect(await queue.enqueue({ bounds })).toEqual(new Set())
  expect(await queue.enqueue({ owner: other, bounds, jobs: many(9) })).toHaveProperty('size', 5)
})

test('behavior: what runs or has ended leaves room; what is put back may exceed the bound', async () => {
  await queue.enqueue({ jobs: many(10), bounds })
  const host = await queue.host()
  const leases = await queue.claim(host, { max: 4 })
  expect(await queue.enqueue({ jobs: many(10), bounds })).toHaveProperty('size', 4)
  await queue.finish(host, result(leases[0]!))
  await queue.claim(host, { max: 1, routes: [{ route: 'other', slots: 1 }] })
  expect(await readAdmission(queue.db, me)).toMatchObject({ owned: 13 })
  expect(await queue.enqueue({ bounds })).toEqual(new Set())
  expect(await miscounts(queue.db)).toEqual([])
})

test('behavior: a bound that was lowered below what waits admits nothing', async () => {
  await queue.enqueue({ jobs: many(10), bounds })
  const lower = { maxQueuedPerOwner: 3, maxQueued: 3, maxBytesPerOwner: 2 ** 40, maxBytes: 2 ** 40 }
  expect(await queue.enqueue({ jobs: many(2), bounds: lower })).toEqual(new Set())
  expect(await queue.enqueue({ owner: other, jobs: many(2), bounds: lower })).toEqual(new Set())
})

test('behavior: under a policy that has moved on nothing is stored', async () => {
  const { epoch } = await readAdmission(queue.db, me)
  await enrol(queue.db, { name: 'one more', public_key: 'A'.repeat(43) })
  expect(await queue.enqueue({ epoch })).toEqual(new Set())
  expect((await readAdmission(queue.db, me)).epoch).toBe(epoch + 1)
  expect(await queue.enqueue({ epoch: epoch + 1 })).toHaveProperty('size', 1)
})

test('behavior: bytes that wait are bounded too, for one owner and in all', async () => {
  const tight = { maxQueuedPerOwner: 100, maxQueued: 100, maxBytesPerOwner: 2_500, maxBytes: 4_500 }
  const of = (owner: string) =>
    queue.enqueue({ owner, jobs: [newJob({ data: `"${'x'.repeat(998)}"` })], bounds: tight })
  const sizes: number[] = []
  for (let i = 0; i < 3; i += 1) sizes.push((await of(me)).size)
  for (let i = 0; i < 2; i += 1) sizes.push((await of(other)).size)
  sizes.push((await of('ip:192.0.2.3')).size)
  expect(sizes).toEqual([1, 1, 0, 1, 1, 0])
  expect(await readAdmission(queue.db, me)).toMatchObject({ ownedBytes: 2_000 })
  const host = await queue.host()
  await queue.claim(host, { max: 1 })
  expect(await readAdmission(queue.db, me)).toMatchObject({ ownedBytes: 1_000 })
  expect((await of(me)).size).toBe(1)
  expect(await miscounts(queue.db)).toEqual([])
})

test('behavior: a large input counts for what is held for it until its size is known', async () => {
  const { id } = newJob()
  const tight = { ...bounds, maxBytesPerOwner: limits.bodyBytes + 100 }
  expect(await beginReceive(queue.db, { id, owner: me, bounds: tight, heldBytes: limits.bodyBytes })).toBe(
    true,
  )
  expect(
    await beginReceive(queue.db, { id: newJob().id, owner: me, bounds: tight, heldBytes: limits.bodyBytes }),
  ).toBe(false)
  expect(await beginReceive(queue.db, { id: newJob().id, owner: me, bounds: tight, heldBytes: 0 })).toBe(true)
  const { epoch } = await readAdmission(queue.db, me)
  const whole = { ...plainTerms, received: id, id, owner: me, dataBytes: 70_000, dataParts: 1, epoch }
  expect(await completeReceive(queue.db, whole)).toBe(true)
  expect(await readAdmission(queue.db, me)).toMatchObject({ ownedBytes: 70_000 })
  expect(await miscounts(queue.db)).toEqual([])
})

test('behavior: of jobs that are stored together those count that come before, in bytes and in lanes', async () => {
  const data = `"${'x'.repeat(998)}"`
  const tight = { ...bounds, maxBytesPerOwner: 2_500 }
  const jobs = [data, data, data, '{}'].map(data => newJob({ data }))
  expect(await queue.enqueue({ jobs, bounds: tight })).toEqual(new Set(jobs.slice(0, 2).map(({ id }) => id)))
  await queue.clear()
  const chains = Array.from({ length: 40 }, (_, index) => newJob({ route: chain(index) }))
  const others = [newJob({ route: chain(31) }), newJob({ route: 'a' })]
  const stored = await queue.enqueue({ jobs: [...chains, ...others] })
  expect(stored).toEqual(new Set([...chains.slice(0, 32), ...others].map(({ id }) => id)))
  expect(await miscounts(queue.db)).toEqual([])
})

test('behavior: different chains that wait at once are bounded; single containers and chains that wait already are not', async () => {
  const jobs = Array.from({ length: 40 }, (_, index) => newJob({ route: chain(index) }))
  let stored = 0
  for (const job of jobs) stored += (await queue.enqueue({ jobs: [job] })).size
  expect(stored).toBe(32)
  expect(await queue.enqueue({ jobs: [newJob({ route: chain(0) }), newJob({ route: 'c' })] })).toHaveProperty(
    'size',
    2,
  )
  const host = await queue.host()
  const routes = containers.map(route => ({ route, slots: 64 }))
  const [oldest] = await queue.claim(host, { routes, max: 1 })
  expect(oldest?.id).toBe(jobs[0]?.id)
})

test('behavior: whatever a runner lists, it is given only what it has registered', async () => {
  await queue.add({ route: 'never-registered' })
  const mine = await queue.add({ route: 'a' })
  const host = await queue.host()
  const routes = ['never-registered', 'a'].map(route => ({ route, slots: 8 }))
  expect((await queue.claim(host, { routes })).map(job => job.id)).toEqual([mine])
})

test('behavior: a lease cannot be renewed for ever', async () => {
  await queue.add()
  const host = await queue.host()
  const leases = await queue.claim(host)
  queue.clock.ms += maxRunMs - 1
  expect(await queue.beat(host, leases, { started: true })).toHaveLength(1)
  queue.clock.ms += 1
  expect(await queue.beat(host, leases, { started: true })).toEqual([])
})

test('behavior: the triggers that count are there, whatever migrations have done to their tables', async () => {
  const rows = await queue.db.orm.all<{ name: string }>(
    "select name from sqlite_master where type = 'trigger' order by name",
  )
  expect(rows.map(row => row.name)).toEqual([
    'delegation_shares_counted_delete',
    'delegation_shares_counted_insert',
    'delegation_shares_counted_update',
    'delegations_shared_delete',
    'delegations_shared_insert',
    'delegations_shared_update',
    'deliveries_job_ended',
    'deliveries_shared_update',
    'jobs_counted_delete',
    'jobs_counted_insert',
    'jobs_counted_update',
    'policy_runner_insert',
    'policy_runner_update',
    'proofs_summed_insert',
    'proofs_summed_update',
    'proofs_unsummed_delete',
    'proofs_unsummed_update',
    'subscriptions_shared_update',
  ])
})
