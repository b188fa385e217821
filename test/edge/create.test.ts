import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newAddress, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'

const mebibyte = 1024 * 1024

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge({ vars: { MAX_QUEUED_PER_OWNER: '5' } })
  runner = await startTestRunner(edge, [
    policyOf('echo'),
    policyOf('internal', { external: false }),
    policyOf('proof', { generates_proofs: true }),
    policyOf('office', { allowed_ips: ['192.0.2.0/24', '2001:db8::1'] }),
  ])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

const create = (body: unknown, ip = newAddress()) => edge.create(body, { ip })
const refused = async (body: unknown, ip?: string) => await refusalOf(await create(body, ip))

describe('acceptance', () => {
  test('default: 200 with an id, a UUID of version 7, and nothing else', async () => {
    const response = await create({ containers: ['echo'], data: {} })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.has('infernet-runner')).toBe(false)
    const body = (await response.json()) as { id: string }
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    })
  })

  test('behavior: requires_proof may be null, and whatever else is in the body is ignored', async () => {
    const ip = newAddress()
    const theirs = '00000000-0000-4000-8000-000000000000'
    const body = {
      id: theirs,
      ip: '203.0.113.9',
      type: 'OffchainJob',
      owner: 'ip:203.0.113.9',
      containers: ['echo'],
      data: {},
      requires_proof: null,
      extra: { data: 1 },
    }
    const id = await edge.createJob(body, { ip })
    expect(id).not.toBe(theirs)
    expect((await edge.request(`/api/jobs/${id}`, { ip })).status).toBe(200)
    expect((await edge.request(`/api/jobs/${id}`, { ip: '203.0.113.9' })).status).toBe(404)
    expect(await (await edge.request('/api/jobs', { ip: '203.0.113.9' })).json()).toEqual([])
  })

  test('behavior: a delegated subscription with containers and data is an off-chain job', async () => {
    const body = { signature: {}, subscription: {}, containers: ['echo'], data: {} }
    expect((await create(body)).status).toBe(200)
  })

  test('behavior: the content type does not matter', async () => {
    const body = '{"containers":["echo"],"data":{}}'
    for (const type of ['text/plain', 'application/vnd.x+json']) {
      const init = { method: 'POST', body, headers: { 'content-type': type }, ip: newAddress() }
      expect((await edge.request('/api/jobs', init)).status).toBe(200)
    }
  })
})

describe('owners', () => {
  test('behavior: an IPv4 client is its address, an IPv6 client its /64', async () => {
    const body = { containers: ['echo'], data: {} }
    const id = await edge.createJob(body, { ip: '2001:db8:1:2:3::4' })
    const seenBy = async (ip: string) => (await edge.request(`/api/jobs/${id}`, { ip })).status
    expect(await seenBy('2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe(200)
    expect(await seenBy('2001:DB8:1:2::')).toBe(200)
    expect(await seenBy('2001:db8:1:3::4')).toBe(404)
    const [v4] = [await edge.createJob(body, { ip: '192.0.2.1' })]
    const v4SeenBy = async (ip: string) => (await edge.request(`/api/jobs/${v4}`, { ip })).status
    expect(await v4SeenBy('::ffff:192.0.2.1')).toBe(200)
    expect(await v4SeenBy('192.0.2.2')).toBe(404)
  })
})

describe('refusals', () => {
  test('default: those of the reference, with its words and params', async () => {
    const data = {}
    expect(await refused({ containers: [], data })).toEqual({
      status: 400,
      code: 'no_containers',
      error: 'No containers specified',
      params: {},
    })
    expect(await refused({ containers: ['echo', 'nobody', 'nothing'], data })).toEqual({
      status: 422,
      code: 'unsupported_container',
      error: 'Container not supported',
      params: { container: 'nobody' },
    })
    expect(await refused({ containers: ['internal', 'echo'], data })).toEqual({
      status: 403,
      code: 'not_external',
      error: 'First container must be external',
      params: { first_container: 'internal' },
    })
    expect(await refused({ containers: ['proof', 'echo'], data, requires_proof: true })).toEqual({
      status: 422,
      code: 'unsupported_proof',
      error: 'Container does not generate proof',
      params: { container: 'echo' },
    })
    expect(await refused({ containers: ['echo', 'office'], data }, '203.0.113.5')).toEqual({
      status: 403,
      code: 'not_allowed',
      error: 'Container not allowed for address',
      params: { container: 'office', address: '203.0.113.5' },
    })
  })

  test('behavior: what the reference refuses only when it must, is admitted', async () => {
    const admitted = async (body: object, ip?: string) => (await create(body, ip)).status
    expect(await admitted({ containers: ['echo', 'internal'], data: {} })).toBe(200)
    expect(await admitted({ containers: ['echo', 'proof'], data: {}, requires_proof: true })).toBe(200)
    expect(await admitted({ containers: ['office'], data: {} }, '192.0.2.77')).toBe(200)
    expect(await admitted({ containers: ['office'], data: {} }, '2001:db8::1')).toBe(200)
    expect(await admitted({ containers: ['office'], data: {} }, '2001:db8::2')).toBe(403)
  })

  test('behavior: checks come in the order of the reference', async () => {
    const codeOf = async (body: object) => ((await refused(body, '203.0.113.5')) as { code: string }).code
    const data = {}
    expect(await codeOf({ containers: ['internal', 'nobody'], data })).toBe('unsupported_container')
    expect(await codeOf({ containers: ['internal', 'echo'], data, requires_proof: true })).toBe(
      'not_external',
    )
    expect(await codeOf({ containers: ['echo', 'office'], data, requires_proof: true })).toBe(
      'unsupported_proof',
    )
  })

  test('behavior: a chain has ten containers at most', async () => {
    const containers = Array.from({ length: 11 }, () => 'echo')
    expect(await refused({ containers, data: {} })).toEqual({
      status: 400,
      code: 'chain_too_long',
      error: 'Too many containers',
      params: { limit: 10 },
    })
    expect((await create({ containers: containers.slice(1), data: {} })).status).toBe(200)
  })

  test.for([
    [{ data: {} }, 'Invalid json: containers: is missing'],
    [{ containers: 'echo', data: {} }, 'Invalid json: containers: expected Array'],
    [{ containers: ['echo', 1], data: {} }, 'Invalid json: containers.1: expected string'],
    [
      { containers: ['echo'], data: {}, requires_proof: 'yes' },
      'Invalid json: requires_proof: expected boolean',
    ],
    [{ containers: ['echo'] }, 'Invalid json: data: is missing'],
    [{ containers: ['echo'], data: null }, 'Invalid json: data: must be an object'],
    [{ containers: ['echo'], data: [] }, 'Invalid json: data: must be an object'],
    [{ containers: ['echo'], data: 'text' }, 'Invalid json: data: must be an object'],
    ['[]', 'Invalid json: expected an object'],
    ['"text"', 'Invalid json: expected an object'],
    ['null', 'Invalid json: expected an object'],
  ] as const)('behavior: 400 for %j', async ([body, error]) => {
    expect(await refused(body)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      error: expect.stringContaining(error.split(': expected')[0]!),
    })
    expect(await refused(body)).toMatchObject({ error, params: {} })
  })

  test.for([
    ['', 'Malformed JSON: Unexpected end at byte 0'],
    ['{"containers":["echo"],"data":{}', 'Malformed JSON: Unexpected end at byte 32'],
    ['{"containers":["echo"],"data":{}}}', 'Malformed JSON: Unexpected character at byte 33'],
    ["{'containers':[]}", 'Malformed JSON: Unexpected character at byte 1'],
    ['{"data":{},"containers":["echo"],"data":{}}', 'Malformed JSON: Duplicate key at byte 33'],
  ])('behavior: 400 for the text %s', async ([body, error]) => {
    expect(await refused(body)).toEqual({ status: 400, code: 'malformed_json', error, params: {} })
  })

  test('behavior: 400 for too deep a body, and for too much beside data', async () => {
    const deep = `{"containers":["echo"],"data":{"a":${'['.repeat(600)}${']'.repeat(600)}}}`
    expect(await refused(deep)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      error: 'Nested deeper than 512 levels',
    })
    const long = { containers: ['echo'], data: {}, rest: 'x'.repeat(65_536) }
    expect(await refused(long)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      error: 'Fields take more than 65536 bytes',
    })
  })

  test('behavior: 429 beyond what one owner may have waiting, inline or large, and room again afterwards', async () => {
    const ip = newAddress()
    const small = { containers: ['echo'], data: {} }
    const large = { containers: ['echo'], data: { x: 'x'.repeat(100_000) } }
    const full = {
      status: 429,
      code: 'queue_full_for_owner',
      error: 'Too many of your jobs are waiting',
      params: { limit: 5 },
    }
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => create(i % 2 ? small : large, ip)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5)
    const [refusal] = answers.filter(({ status }) => status !== 200)
    expect(refusal!.headers.get('retry-after')).toBe('5')
    expect(await refusalOf(refusal!)).toEqual(full)
    expect(await refused(large, ip)).toEqual(full)
    expect((await create(small)).status).toBe(200)
    await edge.db.orm.run(`update jobs set priority = 9 where owner = 'ip:${ip}'`)
    await runner.claim({ max: 1, routes: [{ route: 'echo', slots: 1 }] })
    expect((await create(large, ip)).status).toBe(200)
    expect((await create(small, ip)).status).toBe(429)
  })

  test('behavior: refused inputs leave nothing behind', async () => {
    const large = { x: 'x'.repeat(700_000) }
    await create({ containers: ['nobody'], data: large })
    await create(`{"data":${JSON.stringify(large)},"containers":["echo"]`)
    await create({ containers: ['internal'], data: large })
    expect(await edge.db.orm.all(`select id from jobs where state = 'receiving'`)).toEqual([])
    expect(await edge.db.orm.all('select job from parts where job not in (select id from jobs)')).toEqual([])
  })
})

test('behavior: inputs leave nothing behind where storing their jobs fails', async () => {
  await edge.db.orm.run(
    `create trigger fails before update of state on jobs begin select raise(abort, 'fails'); end`,
  )
  const item = { containers: ['echo'], data: { x: 'x'.repeat(700_000) } }
  const response = await edge.create([item, item], { ip: newAddress(), path: '/api/jobs/batch' })
  await edge.db.orm.run('drop trigger fails')
  expect(response.status).toBe(500)
  await expect
    .poll(async () => await edge.db.orm.all(`select id from jobs where state = 'receiving'`))
    .toEqual([])
  expect(await edge.db.orm.all('select job from parts where job not in (select id from jobs)')).toEqual([])
})

describe('body size', () => {
  const tooLarge = {
    status: 413,
    code: 'body_too_large',
    error: 'Request body too large',
    params: { limit: 16 * mebibyte },
  }
  const bodyOf = (size: number) => {
    const frame = '{"containers":["echo"],"data":{"x":""}}'
    return `{"containers":["echo"],"data":{"x":"${'x'.repeat(size - frame.length)}"}}`
  }

  test('default: 16 MiB are taken', async () => {
    expect((await create(bodyOf(16 * mebibyte))).status).toBe(200)
  })

  test('behavior: one byte more is not, when the length is not announced', async () => {
    const body = new Blob([bodyOf(16 * mebibyte + 1)]).stream()
    const init = { method: 'POST', body, duplex: 'half', ip: newAddress() } as RequestInit
    expect(await refusalOf(await edge.request('/api/jobs', init))).toEqual(tooLarge)
    expect(await edge.db.orm.all(`select id from jobs where state = 'receiving'`)).toEqual([])
  })

  test('behavior: an announced length is refused before the body has come', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-length': 16 * mebibyte + 1 }
      const sent = httpRequest(new URL('/api/jobs', edge.url), { method: 'POST', headers }, response => {
        resolve(response.statusCode)
        sent.destroy()
      })
      sent.on('error', reject)
      sent.write('{')
    })
    expect(status).toBe(413)
  })
})
