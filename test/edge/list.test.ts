import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newAddress, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

/** An owner with jobs of these states, from old to new. @returns their ids. */
async function setup(states: readonly ('pending' | 'done')[]): Promise<{ ip: string; ids: string[] }> {
  const ip = newAddress()
  const jobs = states.map(() => ({ containers: ['echo'], data: {} }))
  const response = await edge.create(jobs, { ip, path: '/api/jobs/batch' })
  const ids = ((await response.json()) as { id: string }[]).map(({ id }) => id)
  await end(ids.filter((_, index) => states[index] === 'done'))
  return { ip, ids }
}

/** Has these jobs run. */
async function end(ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await edge.db.orm.run(`update jobs set priority = 9 where id in ('${ids.join("','")}')`)
  const jobs = await runner.claim({ max: ids.length, routes: [{ route: 'echo', slots: ids.length }] })
  await runner.report(jobs.map(job => success(job, '1')))
  await edge.db.orm.run('update jobs set priority = 0 where priority = 9')
}

async function list(ip: string, query = ''): Promise<string[]> {
  const response = await edge.request(`/api/jobs${query}`, { ip })
  expect(response.status).toBe(200)
  return (await response.json()) as string[]
}

/** Follows the `link` headers. `between` runs after each page. */
async function pages(ip: string, query: string, between = async () => {}): Promise<string[][]> {
  const found: string[][] = []
  for (let next: string | undefined = `/api/jobs${query}`; next; ) {
    const response = await edge.request(next, { ip })
    found.push((await response.json()) as string[])
    next = /^<(.+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    await between()
  }
  return found
}

describe('list', () => {
  test('default: pending jobs first, newest first, no link', async () => {
    const { ip, ids } = await setup(['done', 'pending', 'done', 'pending'])
    const response = await edge.request('/api/jobs', { ip })
    expect(await response.json()).toEqual([ids[3], ids[1], ids[2], ids[0]])
    expect(response.headers.has('link')).toBe(false)
  })

  test('behavior: pending=true, pending=false, and anything else', async () => {
    const { ip, ids } = await setup(['done', 'pending', 'done'])
    expect(await list(ip, '?pending=true')).toEqual([ids[1]])
    expect(await list(ip, '?pending=false')).toEqual([ids[2], ids[0]])
    for (const other of ['TRUE', '1', '', 'x']) {
      expect(await list(ip, `?pending=${other}`)).toEqual([ids[1], ids[2], ids[0]])
    }
  })

  test("behavior: nobody sees another's jobs", async () => {
    await setup(['pending', 'done'])
    expect(await list('203.0.113.1')).toEqual([])
    expect(await list('203.0.113.1', '?cursor=999999999999999.z')).toEqual([])
  })

  test.for([
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=x',
    'limit=1.5',
    'limit=1&limit=2',
    `cursor=1.${'x'.repeat(129)}`,
    'cursor=x',
    'cursor=-1.x',
    `cursor=${'9'.repeat(16)}.x`,
    'cursor=',
    'cursor=%00',
  ])('behavior: 400 for %s', async query => {
    const refusal = { status: 400, code: 'invalid_request', error: expect.stringMatching(/^Invalid query: /) }
    expect(await refusalOf(await edge.request(`/api/jobs?${query}`))).toMatchObject(refusal)
  })

  test('behavior: a cursor is only a place: what nobody gave out is harmless', async () => {
    const { ip, ids } = await setup(['done', 'pending'])
    expect(await list(ip, '?cursor=999999999999999.~')).toEqual([ids[1], ids[0]])
    expect(await list(ip, `?cursor=${encodeURIComponent("0.'or''='")}`)).toEqual([])
  })
})

describe('paging', () => {
  const mixed = ['done', 'pending', 'pending', 'done', 'pending', 'done', 'done'] as const

  test.for([1, 2, 3, 7, 8])('default: pages of %i hold every job once', async limit => {
    const { ip, ids } = await setup(mixed)
    const found = await pages(ip, `?limit=${limit}`)
    expect(found).toHaveLength(Math.ceil(ids.length / limit))
    expect(found.flat().toSorted()).toEqual(ids)
    expect(found.map(page => page.length).slice(0, -1)).toEqual(found.slice(0, -1).map(() => limit))
  })

  test('behavior: the link keeps the rest of the query', async () => {
    const { ip, ids } = await setup(mixed)
    const found = await pages(ip, '?pending=false&limit=3')
    expect(found).toEqual([[ids[6], ids[5], ids[3]], [ids[0]]])
  })

  test('behavior: jobs that end, or come, between two pages are neither lost nor repeated', async () => {
    const { ip, ids } = await setup(['pending', 'pending', 'pending', 'pending', 'pending', 'pending'])
    const left = [ids[5]!, ids[2]!, ids[0]!, ids[4]!]
    const found = await pages(ip, '?limit=2', async () => {
      await end(left.splice(0, 2))
      await edge.create({ containers: ['echo'], data: {} }, { ip })
    })
    expect(found.flat().toSorted()).toEqual(ids)
  })

  test('behavior: pending=true never repeats a job and never loses one that still waits', async () => {
    const { ip, ids } = await setup(['pending', 'pending', 'pending', 'pending', 'pending'])
    const found = await pages(ip, '?pending=true&limit=2', async () => await end([ids[1]!, ids[4]!]))
    expect(found).toEqual([
      [ids[4], ids[3]],
      [ids[2], ids[0]],
    ])
  })
})

test('behavior: whoever cannot be told apart lists nothing, and reads by id', async () => {
  // What every Worker of other zones comes from.
  const anyWorker = '2a06:98c0:3600::103'
  const id = await edge.createJob({ containers: ['echo'], data: {} }, { ip: anyWorker })
  const response = await edge.request('/api/jobs', { ip: anyWorker })
  expect(await refusalOf(response)).toEqual({
    status: 403,
    code: 'forbidden',
    error: 'The node cannot tell which jobs are yours: ask for them by id',
    params: {},
  })
  expect(await (await edge.request(`/api/jobs?id=${id}`, { ip: anyWorker })).json()).toMatchObject([{ id }])
})
