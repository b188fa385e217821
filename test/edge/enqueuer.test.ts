import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EnqueueOptions, QueueBounds } from '../../src/edge/jobs/enqueue.ts'
import { readAdmission, selectExisting } from '../../src/edge/jobs/enqueue.ts'
import { createEnqueuer } from '../../src/edge/jobs/enqueuer.ts'
import { selectByKey } from '../../src/edge/jobs/once.ts'
import { newJob, type Queue, startQueue } from '../support/queue.ts'

let queue: Queue
let epoch: number

beforeAll(async () => {
  queue = await startQueue()
  epoch = (await readAdmission(queue.db, 'ip:192.0.2.1')).epoch
})
beforeEach(async () => {
  await queue.clear()
  await queue.db.orm.run('delete from idempotency')
  queue.proxy.takeStatements()
})
afterAll(async () => await queue.close())

const bounds: QueueBounds = {
  maxQueuedPerOwner: 1_000,
  maxQueued: 10_000,
  maxBytesPerOwner: 2 ** 30,
  maxBytes: 2 ** 34,
}

function request(options: Partial<EnqueueOptions> & { data?: string } = {}): EnqueueOptions {
  const { data = '{}', ...rest } = options
  const job = newJob({ data })
  return { owner: 'ip:192.0.2.1', jobs: [job], epoch, bounds, ...rest }
}

const idsOf = (requests: readonly EnqueueOptions[]) =>
  requests.flatMap(({ jobs }) => jobs.map(({ id }) => id))
const inserts = () => queue.proxy.takeStatements().filter(({ sql }) => /insert into jobs/.test(sql)).length

test('default: requests that come while one is on its way are stored together after it', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const requests = Array.from({ length: 60 }, () => request())
  const stored = await Promise.all(requests.map(enqueue))
  expect(stored.map(ids => [...ids])).toEqual(requests.map(each => idsOf([each])))
  expect((await queue.ids()).sort()).toEqual(idsOf(requests).sort())
  expect(inserts()).toBe(2)
})

test('behavior: one request alone waits for nobody', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  for (let i = 0; i < 3; i += 1) expect((await enqueue(request())).size).toBe(1)
  expect(inserts()).toBe(3)
})

test('behavior: owners are kept apart, each with its own bound', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const tight = { ...bounds, maxQueuedPerOwner: 2 }
  const of = (owner: string) => Array.from({ length: 5 }, () => request({ owner, bounds: tight }))
  const [here, there] = [of('ip:192.0.2.1'), of('ip:192.0.2.2')]
  const sizes = async (requests: EnqueueOptions[]) =>
    (await Promise.all(requests.map(enqueue))).reduce((sum, ids) => sum + ids.size, 0)
  expect(await Promise.all([sizes(here), sizes(there)])).toEqual([2, 2])
})

test('behavior: an old policy stores nothing, and holds nobody else up', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const [first, old, good] = [request(), request({ epoch: epoch - 1 }), request()]
  const stored = await Promise.all([first, old, good].map(enqueue))
  expect(stored.map(ids => ids.size)).toEqual([1, 0, 1])
})

test('behavior: more than one flush takes goes on in the next', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const requests = Array.from({ length: 300 }, () => request())
  await Promise.all(requests.map(enqueue))
  expect((await queue.ids()).length).toBe(300)
  expect(inserts()).toBe(4)
})

test('behavior: inputs that are too large together for one statement are divided', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const data = `{"x":"${'x'.repeat(60_000)}"}`
  const requests = Array.from({ length: 100 }, () => request({ data }))
  await Promise.all(requests.map(enqueue))
  expect((await queue.ids()).length).toBe(100)
})

test('behavior: small jobs are divided too: each takes its place in a statement', async () => {
  let statements = 0
  const db = {
    orm: queue.db.orm,
    get now() {
      statements += 1
      return sql<number>`${statements}`
    },
  }
  const enqueue = createEnqueuer({ db, now: () => Date.now() })
  const wide = { ...bounds, maxQueuedPerOwner: 10_000 }
  const requests = Array.from({ length: 60 }, () =>
    request({ bounds: wide, jobs: Array.from({ length: 100 }, () => newJob()) }),
  )
  await Promise.all(requests.map(enqueue))
  const rows = await queue.db.orm.all<{ n: number }>('select count(*) as n from jobs group by created_at')
  expect(rows.map(({ n }) => n)).toEqual([100, 2_500, 2_500, 900])
})

test('behavior: together they leave as many different chains waiting as each by itself', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const chain = (index: number) => Array.from(index.toString(2).padStart(10, '0')).join(',')
  const requests = Array.from({ length: 8 }, (_, place) =>
    request({ jobs: Array.from({ length: 5 }, (_, item) => newJob({ route: chain(5 * place + item) })) }),
  )
  const stored = await Promise.all(requests.map(enqueue))
  expect(stored.map(ids => ids.size)).toEqual([5, 5, 5, 5, 5, 5, 2, 0])
})

test('behavior: when the database fails, all that waited together hear of it, and the next is stored', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  queue.proxy.down()
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => enqueue(request())))
  expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 'rejected'))
  queue.proxy.up()
  expect((await enqueue(request())).size).toBe(1)
})

test('behavior: a job stored twice is one job, and the second time it is known to be there', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const twice = request()
  expect((await enqueue(twice)).size).toBe(1)
  expect((await enqueue(twice)).size).toBe(0)
  expect(await selectExisting(queue.db, twice)).toEqual(idsOf([twice]))
  expect(await queue.ids()).toEqual(idsOf([twice]))
  expect((await readAdmission(queue.db, twice.owner)).owned).toBe(1)
})

test('behavior: another owner cannot take a job over by its id', async () => {
  const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
  const mine = request()
  await enqueue(mine)
  expect((await enqueue({ ...mine, owner: 'ip:192.0.2.9' })).size).toBe(0)
})

describe('requests that make their jobs once, stored together with others', () => {
  const onceOf = (
    fingerprint: string,
    { key = null, item = 0 }: { key?: string | null; item?: number } = {},
  ) => ({
    key,
    item,
    fingerprint,
  })
  const sizesOf = (stored: readonly Set<string>[]) => stored.map(ids => ids.size)

  test('behavior: of different jobs under one id one is stored, and one request told so', async () => {
    const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
    const { id } = newJob()
    const of = (fingerprint: string, owner = 'ip:192.0.2.1') =>
      request({ owner, jobs: [newJob({ id, once: onceOf(fingerprint) })] })
    const requests = [request(), of('first'), of('second'), request(), of('third', 'ip:192.0.2.2')]
    expect(sizesOf(await Promise.all(requests.map(enqueue)))).toEqual([1, 1, 0, 1, 0])
    const rows = await queue.db.orm.all(`select fingerprint from jobs where id = '${id}'`)
    expect(rows).toEqual([{ fingerprint: 'first' }])
  })

  test('behavior: of two different requests under one key one is stored, whatever their lengths', async () => {
    const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
    const of = (fingerprint: string, count: number) =>
      request({
        jobs: Array.from({ length: count }, (_, item) =>
          newJob({ once: onceOf(fingerprint, { key: 'k', item }) }),
        ),
      })
    const requests = [request(), of('one', 1), of('three', 3), request()]
    expect(sizesOf(await Promise.all(requests.map(enqueue)))).toEqual([1, 1, 0, 1])
    const earlier = await selectByKey(queue.db, { owner: 'ip:192.0.2.1', key: 'k', fingerprint: 'one' })
    expect(earlier).toEqual({ conflict: false, jobs: new Map([[0, idsOf(requests.slice(1, 2))[0]]]) })
  })

  test('behavior: keys of different owners do not wait for each other', async () => {
    const enqueue = createEnqueuer({ db: queue.db, now: () => Date.now() })
    const of = (owner: string) => request({ owner, jobs: [newJob({ once: onceOf('f', { key: 'k' }) })] })
    const requests = [request(), of('ip:192.0.2.1'), of('ip:192.0.2.2')]
    expect(sizesOf(await Promise.all(requests.map(enqueue)))).toEqual([1, 1, 1])
    expect(inserts()).toBe(3)
  })
})
