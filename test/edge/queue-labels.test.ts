import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import * as v from 'valibot'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type NewJob, readAdmission } from '../../src/edge/jobs/enqueue.ts'
import { mayWaitForChain } from '../../src/edge/jobs/lanes.ts'
import { ContainerId, requiresOf, routeOf } from '../../src/protocol/container.ts'
import {
  type Labels,
  labelsAt,
  meets,
  plainGpuLabels,
  plainLabels,
  type Requires,
} from '../../src/protocol/labels.ts'
import { miscounts, newJob, type Queue, startQueue } from '../support/queue.ts'

let queue: Queue

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())
beforeEach(async () => await queue.clear())

const idsOf = (jobs: readonly { id: string }[]) => jobs.map(job => job.id)
const h100 = { gpu: ['NVIDIA H100 80GB HBM3'], gpu_memory_gib: [80], region: ['eu'] }
const add = (requires: Requires, options: { priority?: number; containers?: string[] } = {}) => {
  const { containers = ['a'], ...rest } = options
  return queue.add({ route: routeOf(containers, requires), ...rest })
}

describe('labels', () => {
  test('default: a job goes to a host that has what it requires, and to no other', async () => {
    const id = await add({ gpu: 'H100', gpu_memory_gib: 40 })
    const plain = await queue.host()
    const small = await queue.host(undefined, { gpu: ['Tesla T4'], gpu_memory_gib: [15] })
    expect(await queue.claim(plain)).toEqual([])
    expect(await queue.claim(small)).toEqual([])
    const [job] = await queue.claim(await queue.host(undefined, h100))
    expect(job).toMatchObject({ id, route: "a {'gpu':'h100','gpu_memory_gib':40}" })
    expect(await miscounts(queue.db)).toEqual([])
  })

  test('behavior: what requires nothing goes anywhere; all go by priority and age', async () => {
    const any = await queue.add()
    const wanted = await add({ region: 'EU' })
    const urgent = await add({ gpu: 'h100' }, { priority: 5 })
    const host = await queue.host(undefined, h100)
    expect((await queue.claim(host, { max: 1 })).map(({ id }) => id)).toEqual([urgent])
    const holding = [{ id: urgent, attempt: 1 }]
    expect(idsOf(await queue.claim(host, { holding })).toSorted()).toEqual([any, wanted].toSorted())
  })

  test('behavior: a container has its slots once, whatever its jobs require', async () => {
    for (let i = 0; i < 3; i += 1) {
      await queue.add()
      await add({ gpu: 'h100' })
      await add({ region: 'eu' })
    }
    const host = await queue.host(undefined, h100)
    const claimed = await queue.claim(host, {
      routes: [
        { route: 'a', slots: 2 },
        { route: 'b', slots: 9 },
      ],
      max: 11,
    })
    expect(claimed).toHaveLength(2)
  })

  test('behavior: a chain is computed where its containers and its labels are', async () => {
    const id = await add({ gpu: 'h100' }, { containers: ['a', 'b'] })
    const routes = ['a', 'b'].map(route => ({ route, slots: 1 }))
    const host = await queue.host(undefined, h100)
    expect(await queue.claim(host)).toEqual([])
    expect(await queue.claim(await queue.host(), { routes })).toEqual([])
    expect(idsOf(await queue.claim(host, { routes }))).toEqual([id])
  })

  test('behavior: labels of a container are met where that one is among those of the job', async () => {
    const gpuLabels = [
      { id: 'a', labels: { gpu: ['Tesla T4'], gpu_memory_gib: [15] } },
      { id: 'b', labels: { gpu: ['NVIDIA H100 80GB HBM3'], gpu_memory_gib: [80] } },
    ]
    const host = await queue.host(undefined, { region: ['eu'] }, { gpuLabels })
    const routes = ['a', 'b', 'c'].map(route => ({ route, slots: 9 }))
    const wanted = { gpu: 'H100', region: 'eu' }
    const ids = [await add(wanted, { containers: ['b'] }), await add(wanted, { containers: ['c', 'b'] })]
    await add(wanted, { containers: ['a'] })
    await add(wanted, { containers: ['c'] })
    // No one of its containers has both.
    await add({ gpu: 'T4', gpu_memory_gib: 40 }, { containers: ['a', 'b'] })
    expect(idsOf(await queue.claim(host, { routes })).toSorted()).toEqual(ids.toSorted())
  })

  test('behavior: a process that registers anew without a label gets no more of it', async () => {
    const host = await queue.host('relabelled', h100)
    await add({ gpu: 'h100' })
    await queue.host('relabelled', { region: ['eu'] }, host)
    expect(await queue.claim(host)).toEqual([])
    await queue.host('relabelled', h100, host)
    expect(await queue.claim(host)).toHaveLength(1)
  })

  test('behavior: one that tells of none leaves those that were told before', async () => {
    const gpuLabels = [{ id: 'a', labels: { gpu: ['Tesla T4'] } }]
    const host = await queue.host('restarted', { region: ['eu'] }, { gpuLabels })
    await add({ gpu: 't4', region: 'eu' })
    await queue.host('restarted', undefined, host)
    await queue.claim(host)
    await add({ gpu: 't4', region: 'eu' })
    // What it told replaces what it told before, and nothing else.
    const again = await queue.host('restarted', { region: ['us'] })
    expect(await queue.claim(again)).toEqual([])
    const silent = await queue.host('restarted')
    expect(await queue.claim(silent)).toEqual([])
    expect(await queue.claim(host)).toHaveLength(2)
  })

  test('behavior: two processes of one runner have labels of their own', async () => {
    const big = await queue.host('shared', h100)
    const small = await queue.host('shared', { gpu: ['Tesla T4'] })
    const [forBig, forSmall] = [await add({ gpu: 'h100' }), await add({ gpu: 't4' })]
    expect(idsOf(await queue.claim(small))).toEqual([forSmall])
    expect(idsOf(await queue.claim(big))).toEqual([forBig])
  })

  test('behavior: an edge that splices routes into JSON, as those before labels do, steps over what requires some', async () => {
    const text = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('"', "'", '\\', ',', '~1', '\n'))
    const check = async (wanted: string) => {
      const route = routeOf(['a', 'b'], { region: `x${wanted}`, zone: 7 })
      const spliced = sql<string>`'["' || replace(${route}, ',', '","') || '"]'`
      const names = await queue.db.orm.all<{ value: string }>(sql`select value from json_each(${spliced})`)
      expect(names[0]?.value).toBe('a')
      expect(v.is(ContainerId, names[1]?.value)).toBe(false)
    }
    await fc.assert(fc.asyncProperty(text, check), { numRuns: 200 })
  })

  describe('lanes', () => {
    const lanes = (from: number, length: number) =>
      Array.from({ length }, (_, index) =>
        newJob({ route: routeOf(['a'], { gpu_memory_gib: from + index }) }),
      )
    const enqueue = async (owner: string, jobs: readonly NewJob[]) =>
      (await queue.enqueue({ owner, jobs })).size

    test('default: one owner opens so many; waiting in one that is open costs nothing', async () => {
      expect(await enqueue('ip:192.0.2.1', lanes(0, 40))).toBe(32)
      expect(await enqueue('ip:192.0.2.1', [newJob({ route: 'a,b' })])).toBe(0)
      expect((await readAdmission(queue.db, 'ip:192.0.2.1')).ownedLanes).toBe(32)
      expect(await enqueue('ip:192.0.2.2', lanes(0, 32))).toBe(32)
      expect(await enqueue('ip:192.0.2.2', lanes(32, 32))).toBe(32)
      expect(await enqueue('ip:192.0.2.1', [...lanes(40, 9), newJob()])).toBe(10)
    })

    test('behavior: a lane that is empty is nobody’s any more', async () => {
      expect(await enqueue('ip:192.0.2.1', lanes(0, 32))).toBe(32)
      const host = await queue.host(undefined, { gpu_memory_gib: [0] })
      expect(await queue.claim(host)).toHaveLength(1)
      expect(await enqueue('ip:192.0.2.1', lanes(40, 2))).toBe(1)
    })

    test('behavior: clients leave some to contracts, and contracts to clients', async () => {
      for (let owner = 0; owner < 13; owner += 1)
        expect(await enqueue(`ip:192.0.2.${owner}`, lanes(100 * owner, 32))).toBe(owner < 12 ? 32 : 0)
      expect(await enqueue('ip:192.0.2.99', [newJob()])).toBe(1)
      const ask = async (others: number) =>
        await queue.db.orm.all(
          sql`select 1 where ${mayWaitForChain({ route: sql`'b,c'`, others: sql`${others}` })}`,
        )
      expect(await ask(127)).toHaveLength(1)
      expect(await ask(128)).toHaveLength(0)
      await queue.db.orm.run(sql`update queued_routes set opener = 'chain:7' where opener = 'ip:192.0.2.0'`)
      expect(await ask(95)).toHaveLength(1)
      expect(await ask(96)).toHaveLength(0)
      expect(await enqueue('ip:192.0.2.12', lanes(1_200, 33))).toBe(32)
    })
  })

  test('behavior: SQL and JavaScript agree on who meets what', async () => {
    const word = fc.constantFrom(
      'h100',
      'H100',
      'a100',
      '100',
      'h',
      'NVIDIA H100 80GB',
      'nvidia-h100',
      'eu',
      '',
      '7',
      `it's "x", y~1`,
      'c:\\~0~2',
      '\u0007',
    )
    const value = fc.oneof(word, fc.nat(9))
    const name = fc.constantFrom('gpu', 'gpu_memory_gib', 'region', 'constructor')
    const required = fc.dictionary(
      name,
      value.filter(one => one !== ''),
      { maxKeys: 3 },
    )
    const labels = fc.dictionary(name, fc.array(value, { maxLength: 3 }), { maxKeys: 4 })
    const gpuLabels = fc.array(fc.record({ id: fc.constantFrom('a', 'b'), labels }), { maxLength: 2 })
    const containers = fc.constantFrom(['a'], ['a', 'b'], ['b', 'c'])
    const free = ['a', 'b', 'c'].map(route => ({ route, slots: 1 }))
    type Case = {
      has: Labels
      given: { id: string; labels: Labels }[]
      requires: Requires
      names: readonly string[]
    }
    const check = async ({ has, given, requires, names }: Case) => {
      await queue.clear()
      const route = routeOf(names, requires)
      await queue.enqueue({ jobs: [newJob({ route })] })
      const host = await queue.host(undefined, has, { gpuLabels: given })
      const all = { labels: plainLabels(has), gpu_labels: plainGpuLabels(given) }
      const wanted = requiresOf(route) ?? {}
      expect((await queue.claim(host, { routes: free })).length === 1).toBe(
        names.some(name => meets(labelsAt(all, name), wanted)),
      )
    }
    const cases = fc.record({ has: labels, given: gpuLabels, requires: required, names: containers })
    await fc.assert(fc.asyncProperty(cases, check), { numRuns: 200 })
  })
})
