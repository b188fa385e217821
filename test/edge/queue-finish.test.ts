import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { maxUnheardAttempts } from '../../src/edge/jobs/claim.ts'
import { finish, type StoredPayload } from '../../src/edge/jobs/finish.ts'
import { readParts, selectInput, storePart } from '../../src/edge/jobs/parts.ts'
import { readJobs } from '../../src/edge/jobs/read.ts'
import { revoke } from '../../src/edge/runners/enrol.ts'
import { host as edgeHost } from '../support/hosts.ts'
import {
  type Host,
  type Lease,
  leaseMs,
  miscounts,
  type Queue,
  result,
  startQueue,
} from '../support/queue.ts'

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())
beforeEach(async () => await queue.clear())

/** A job and the lease on it. */
async function setup(): Promise<{ id: string; host: Host; lease: Lease }> {
  const id = await queue.add()
  const host = await queue.host()
  const [lease] = await queue.claim(host, { max: 1 })
  return { id, host, lease: lease! }
}

describe('report', () => {
  test('default: accepted, and the same again is a duplicate', async () => {
    const { id, host, lease } = await setup()
    expect(await queue.finish(host, result(lease))).toEqual(['accepted'])
    expect(await queue.read(id)).toMatchObject({
      state: 'success',
      result: '{"container":"a","output":1}',
      finished_at: queue.clock.ms,
      lease_expires_at: null,
      data: null,
    })
    expect(await queue.finish(host, result(lease, '{"container":"a","output":2}'))).toEqual(['duplicate'])
    expect((await queue.read(id))?.result).toBe('{"container":"a","output":1}')
  })

  test('behavior: accepted however late, while nobody has claimed the job since', async () => {
    const { id, host, lease } = await setup()
    queue.clock.ms += leaseMs * 100
    await queue.claim(await queue.host(), { routes: [{ route: 'other', slots: 1 }] })
    expect((await queue.read(id))?.state).toBe('queued')
    expect(await queue.finish(host, result(lease))).toEqual(['accepted'])
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: stale once the job was claimed again, by others or by the same process', async () => {
    const { id, host, lease } = await setup()
    const [again] = await queue.claim(host)
    expect(again).toMatchObject({ id, attempt: 2 })
    expect(await queue.finish(host, result(lease))).toEqual(['stale'])
    queue.clock.ms += leaseMs
    const other = await queue.host()
    const [third] = await queue.claim(other)
    expect(await queue.finish(host, result(again!))).toEqual(['stale'])
    expect(await queue.finish(other, result(third!))).toEqual(['accepted'])
    expect(await queue.finish(host, result(again!))).toEqual(['stale'])
  })

  test("behavior: another runner's lease, a future attempt and an unknown job are stale", async () => {
    const { id, host, lease } = await setup()
    expect(await queue.finish(await queue.host(), result(lease))).toEqual(['stale'])
    expect(await queue.finish(host, result({ id, attempt: 2 }))).toEqual(['stale'])
    expect(await queue.finish(host, result({ id: 'unknown', attempt: 1 }))).toEqual(['stale'])
    expect((await queue.read(id))?.state).toBe('running')
  })

  test('behavior: stale when the lease was lost for good', async () => {
    const { id, host, lease } = await setup()
    for (let attempt = 2; attempt <= maxUnheardAttempts; attempt += 1) await queue.claim(host)
    await queue.claim(host)
    expect((await queue.read(id))?.state).toBe('failed')
    expect(await queue.finish(host, result({ ...lease, attempt: maxUnheardAttempts }))).toEqual(['stale'])
  })

  test('behavior: each of several is answered by itself, by id and attempt', async () => {
    const first = await setup()
    const [again] = await queue.claim(first.host, { max: 1 })
    const other = await queue.add()
    const [fresh] = await queue.claim(first.host, { holding: [again!] })
    const answers = await queue.finish(
      first.host,
      result(first.lease),
      result(again!),
      result(again!, '{"container":"a","output":"second"}'),
      result(fresh!),
      result({ id: 'unknown', attempt: 1 }),
    )
    expect(answers).toEqual(['stale', 'accepted', 'duplicate', 'accepted', 'stale'])
    expect((await queue.read(first.id))?.result).toBe('{"container":"a","output":1}')
    expect((await queue.read(other))?.state).toBe('success')
  })

  test('behavior: of two runners that report at once, one is accepted', async () => {
    const { host, lease } = await setup()
    const reports = Array.from({ length: 8 }, () => queue.finish(host, result(lease)))
    const answers = (await Promise.all(reports)).flat()
    expect(answers.filter(answer => answer === 'accepted')).toHaveLength(1)
    expect(answers.filter(answer => answer === 'duplicate')).toHaveLength(7)
  })

  test("behavior: a revoked runner's report is refused whole", async () => {
    const { id, host, lease } = await setup()
    await revoke(queue.db, host.runner)
    expect(await queue.finish(host, result(lease))).toBeNull()
    expect((await queue.read(id))?.state).toBe('running')
  })

  test('behavior: 64 results of the largest inline size go in', async () => {
    const host = await queue.host()
    for (let i = 0; i < 64; i += 1) await queue.add()
    const leases = await queue.claim(host, { max: 64 })
    const text = `{"container":"a","output":"${'\\"'.repeat(32 * 1024 - 20)}"}`
    const answers = await queue.finish(host, ...leases.map(lease => result(lease, text)))
    expect(new Set(answers)).toEqual(new Set(['accepted']))
    expect((await queue.read(leases[63]!.id))?.result).toBe(text)
  }, 60_000)
})

describe('parts', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values)
  const inParts = (parts: number, size: number): StoredPayload => ({ text: null, parts, bytes: size })

  async function store(host: Host, lease: Lease, seq: number, piece: Uint8Array): Promise<boolean> {
    return await storePart(queue.db, { runner: host.runner, ...lease, kind: 'result', seq, bytes: piece })
  }

  async function readAll(lease: Lease, parts: number): Promise<number[]> {
    const all: number[] = []
    for await (const piece of readParts(queue.db, { ...lease, kind: 'result', parts })) all.push(...piece)
    return all
  }

  test('default: what was stored in any order is read in order', async () => {
    const { host, lease } = await setup()
    for (const seq of [2, 0, 5, 1, 4, 3]) expect(await store(host, lease, seq, bytes(seq, seq))).toBe(true)
    expect(await queue.finish(host, { ...result(lease), result: inParts(6, 12) })).toEqual(['accepted'])
    expect(await readAll(lease, 6)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
  })

  test('behavior: the same part again replaces itself', async () => {
    const { host, lease } = await setup()
    await store(host, lease, 0, bytes(1))
    await store(host, lease, 0, bytes(2, 3))
    expect(await readAll(lease, 1)).toEqual([2, 3])
  })

  test('behavior: a report that names parts that are missing, too many or too short is not accepted', async () => {
    const { id, host, lease } = await setup()
    await store(host, lease, 0, bytes(1, 2))
    await store(host, lease, 2, bytes(3))
    for (const payload of [inParts(3, 3), inParts(2, 3), inParts(1, 2), inParts(2, 2)]) {
      expect(await queue.finish(host, { ...result(lease), result: payload })).toEqual(['stale'])
      expect(await queue.finish(host, { ...result(lease), intermediate: payload })).toEqual(['stale'])
    }
    await store(host, lease, 1, bytes(9))
    expect(await queue.finish(host, { ...result(lease), result: inParts(3, 5) })).toEqual(['stale'])
    expect((await queue.read(id))?.state).toBe('running')
    expect(await queue.finish(host, { ...result(lease), result: inParts(3, 4) })).toEqual(['accepted'])
  })

  test('behavior: parts of an earlier attempt are not those of this one', async () => {
    const { host, lease } = await setup()
    await store(host, lease, 0, bytes(1))
    const [again] = await queue.claim(host)
    expect(await queue.finish(host, { ...result(again!), result: inParts(1, 1) })).toEqual(['stale'])
    expect(await store(host, lease, 1, bytes(1))).toBe(false)
  })

  test('behavior: only the holder of the lease may store or read, and only before the job has ended', async () => {
    const { host, lease } = await setup()
    const other = await queue.host()
    expect(await store(other, lease, 0, bytes(1))).toBe(false)
    expect(await selectInput(queue.db, { runner: other.runner, ...lease })).toBeNull()
    expect(await selectInput(queue.db, { runner: host.runner, ...lease })).toMatchObject({ data: '{}' })
    await queue.finish(host, result(lease))
    expect(await store(host, lease, 0, bytes(1))).toBe(false)
    expect(await selectInput(queue.db, { runner: host.runner, ...lease })).toBeNull()
  })

  test('behavior: a revoked runner stores and reads nothing', async () => {
    const { host, lease } = await setup()
    await revoke(queue.db, host.runner)
    expect(await store(host, lease, 0, bytes(1))).toBe(false)
    expect(await selectInput(queue.db, { runner: host.runner, ...lease })).toBeNull()
    expect(await queue.beat(host, [lease])).toEqual([])
  })

  test('behavior: a part that vanished is an error, not a shorter payload', async () => {
    const { host, lease } = await setup()
    await store(host, lease, 0, bytes(1))
    await expect(readAll(lease, 2)).rejects.toThrow('A part of job')
  })
})

// A database in this process has no responses.
test.skipIf(edgeHost === 'node')(
  'read: the largest inline results of many jobs stay below the bound of a SQL response',
  async () => {
    const host = await queue.host()
    for (let i = 0; i < 40; i += 1) await queue.add()
    const leases = await queue.claim(host, { max: 64 })
    // Quotes and backslashes are escaped on the wire: twice as long.
    const text = (size: number) => `{"container":"a","output":"${'\\\\'.repeat(size / 2 - 20)}"}`
    const payload = { text: text(64 * 1024), bytes: 64 * 1024, parts: 0 }
    const jobs = leases.map(lease => ({ ...result(lease), result: payload, intermediate: payload }))
    await finish(queue.db, { runner: host.runner, jobs, streamStoredBytes: 0 })
    const rows = await readJobs(queue.db, { owner: 'ip:192.0.2.1', ids: leases.map(lease => lease.id) })
    expect(rows).toHaveLength(40)
    expect(queue.proxy.largestResponse()).toBeGreaterThan(2 * 1024 * 1024)
    expect(queue.proxy.largestResponse()).toBeLessThan(4 * 1024 * 1024)
  },
)
