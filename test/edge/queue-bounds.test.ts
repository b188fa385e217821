import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { readAdmission } from '../../src/edge/jobs/enqueue.ts'
import { beginReceive } from '../../src/edge/jobs/receive.ts'
import { enrol } from '../../src/edge/runners/enrol.ts'
import { miscounts, newJob, type Queue, result, startQueue } from '../support/queue.ts'

const [me, other] = ['ip:192.0.2.1', 'ip:192.0.2.2']
const bounds = { maxQueuedPerOwner: 10, maxQueued: 15 }

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())
beforeEach(async () => await queue.clear())

const many = (length: number) => Array.from({ length }, () => newJob())

test('default: 50 at once store as many as the owner may have', async () => {
  const stored = await Promise.all(Array.from({ length: 50 }, () => queue.enqueue({ bounds })))
  expect(stored.filter(ids => ids.size === 1)).toHaveLength(10)
  expect(await readAdmission(queue.db, me)).toMatchObject({ owned: 10, queued: 10 })
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

test('behavior: large inputs on their way count', async () => {
  await queue.enqueue({ jobs: many(8), bounds })
  const begun = await Promise.all(many(6).map(({ id }) => beginReceive(queue.db, { id, owner: me, bounds })))
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
  const lower = { maxQueuedPerOwner: 3, maxQueued: 3 }
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
