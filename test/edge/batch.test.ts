import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { newAddress, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner } from '../support/runner.ts'

let edge: TestEdge

beforeAll(async () => {
  edge = await startTestEdge({ vars: { MAX_QUEUED_PER_OWNER: '120', MAX_QUEUED: '300' } })
  await startTestRunner(edge, [policyOf('echo'), policyOf('internal', { external: false })])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const send = (body: unknown, ip = newAddress()) => edge.create(body, { ip, path: '/api/jobs/batch' })
const refused = async (body: unknown) => await refusalOf(await send(body))

type Answer = { id?: string; code?: string; error?: string; params?: object }

async function answersOf(body: unknown, ip?: string): Promise<Answer[]> {
  const response = await send(body, ip)
  expect(response.status).toBe(200)
  return (await response.json()) as Answer[]
}

const job = (data: object = {}) => ({ containers: ['echo'], data })

describe('batch', () => {
  test('default: an id for each, in order', async () => {
    const ip = newAddress()
    const answers = await answersOf([job({ n: 1 }), job({ n: 2 }), job({ n: 3 })], ip)
    expect(answers.map(answer => Object.keys(answer))).toEqual([['id'], ['id'], ['id']])
    const rows = await edge.db.orm.all(`select id, data from jobs where owner = 'ip:${ip}' order by data`)
    expect(rows).toEqual(answers.map(({ id }, index) => ({ id, data: `{"n":${index + 1}}` })))
  })

  test('behavior: none, one, a hundred', async () => {
    expect(await answersOf([])).toEqual([])
    expect(await answersOf([job()])).toHaveLength(1)
    const hundred = await answersOf(Array.from({ length: 100 }, () => job()))
    expect(new Set(hundred.map(({ id }) => id)).size).toBe(100)
  })

  test('behavior: a hundred large inputs, of which the first holds room for all until it is stored, the last of them', async () => {
    await edge.db.orm.run('create table held (bytes integer)')
    await edge.db.orm.run(`
      create trigger note_held after update of state on jobs when old.state = 'receiving'
      begin insert into held values (old.data_bytes); end`)
    const answers = await answersOf(Array.from({ length: 100 }, () => job({ big: 'x'.repeat(70_000) })))
    expect(answers.filter(({ id }) => id !== undefined)).toHaveLength(100)
    const held = await edge.db.orm.all<{ bytes: number }>('select bytes from held order by rowid')
    for (const statement of [
      'drop trigger note_held',
      'drop table held',
      'delete from parts',
      'delete from jobs',
    ])
      await edge.db.orm.run(statement)
    expect(held.map(({ bytes }) => bytes)).toEqual([...Array.from({ length: 99 }, () => 0), limits.bodyBytes])
  })

  test('behavior: each is judged by itself', async () => {
    const ip = newAddress()
    const answers = await answersOf(
      [
        job(),
        null,
        { containers: ['nobody'], data: {} },
        { containers: ['echo'] },
        { containers: [], data: {} },
        { signature: {}, subscription: {}, data: {} },
        { containers: ['internal'], data: { big: 'x'.repeat(600_000) } },
        job({ big: 'x'.repeat(70_000) }),
        job(),
      ],
      ip,
    )
    const id = expect.any(String)
    expect(answers).toEqual([
      { id },
      { code: 'invalid_request', error: 'Invalid json: expected an object', params: {} },
      { code: 'unsupported_container', error: 'Container not supported', params: { container: 'nobody' } },
      { code: 'invalid_request', error: 'Invalid json: data: is missing', params: {} },
      { code: 'no_containers', error: 'No containers specified', params: {} },
      {
        code: 'invalid_request',
        error: expect.stringMatching(/^Invalid json: subscription\.owner: is missing; /),
        params: {},
      },
      {
        code: 'not_external',
        error: 'First container must be external',
        params: { first_container: 'internal' },
      },
      { id },
      { id },
    ])
    const list = (await (await edge.request('/api/jobs', { ip })).json()) as string[]
    expect(list.toSorted()).toEqual(answers.flatMap(answer => answer.id ?? []).toSorted())
    expect(await edge.db.orm.all('select job from parts where job not in (select id from jobs)')).toEqual([])
  })

  test('behavior: the same item twice is two jobs', async () => {
    const [first, second] = await answersOf([job({ same: 1 }), job({ same: 1 })])
    expect(first!.id).not.toBe(second!.id)
  })

  test('behavior: more than 100 are refused whole', async () => {
    const ip = newAddress()
    const large = job({ big: 'x'.repeat(100_000) })
    const response = await send([large, ...Array.from({ length: 100 }, () => job())], ip)
    expect(await refusalOf(response)).toEqual({
      status: 413,
      code: 'batch_too_large',
      error: 'Too many jobs in one batch',
      params: { limit: 100 },
    })
    expect(await edge.db.orm.all(`select id from jobs where owner = 'ip:${ip}'`)).toEqual([])
  })

  test('behavior: what is no list is refused whole', async () => {
    const notAList = { status: 400, code: 'not_a_list', error: 'Expected a list', params: {} }
    for (const body of [job(), 'null', '"x"', '1']) expect(await refused(body)).toEqual(notAList)
  })

  test('behavior: malformed JSON after good items is refused whole', async () => {
    const ip = newAddress()
    const body = `[${JSON.stringify(job({ big: 'x'.repeat(600_000) }))},${JSON.stringify(job())},]`
    expect(await refusalOf(await send(body, ip))).toMatchObject({ status: 400, code: 'malformed_json' })
    expect(await edge.db.orm.all(`select id from jobs where owner = 'ip:${ip}'`)).toEqual([])
  })

  test('behavior: a hundred of the largest inline size go in', async () => {
    const data = { x: '"'.repeat(32 * 1024 - 10) }
    const answers = await answersOf(Array.from({ length: 100 }, () => job(data)))
    expect(answers.filter(({ id }) => id)).toHaveLength(100)
  })
})

describe('bounds', () => {
  const codes = (answers: Answer[]) => answers.map(({ code }) => code ?? 'stored')

  test('behavior: the first items fill the owner up, the others are refused; then the whole queue', async () => {
    await edge.db.orm.run('delete from jobs')
    const ip = newAddress()
    const batch = Array.from({ length: 80 }, () => job())
    expect(codes(await answersOf(batch, ip))).toEqual(Array.from({ length: 80 }, () => 'stored'))
    const second = codes(await answersOf(batch, ip))
    expect(second.slice(0, 40)).toEqual(Array.from({ length: 40 }, () => 'stored'))
    expect(second.slice(40)).toEqual(Array.from({ length: 40 }, () => 'queue_full_for_owner'))
    const others = await Promise.all(Array.from({ length: 4 }, () => answersOf(batch, newAddress())))
    const stored = others.flat().filter(({ id }) => id)
    expect(stored).toHaveLength(180)
    const response = await edge.create(job(), { ip: newAddress() })
    expect(response.headers.get('retry-after')).toBe('5')
    expect(await refusalOf(response)).toEqual({
      status: 503,
      code: 'queue_full',
      error: 'The queue is full',
      params: {},
    })
  })
})
