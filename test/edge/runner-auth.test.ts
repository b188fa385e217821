import { createHmac, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTokenVerifier } from '../../src/edge/runners/token.ts'
import { adminToken, refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

const unauthorized = { status: 401, code: 'unauthorized', error: 'Unauthorized', params: {} }
const admin = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

/** Everything that a runner may ask, about a job that it holds. */
function requestsOf(
  { instance }: TestRunner,
  job: { id: string; attempt: number },
): Record<string, () => RequestInit & { path: string }> {
  const post = (path: string, body: object) => () => ({
    path,
    method: 'POST',
    body: JSON.stringify({ instance, ...body }),
    headers: { 'content-type': 'application/json' },
  })
  const lease = { id: job.id, attempt: job.attempt }
  const result = success({ ...lease, containers: ['echo'] } as never, '1')
  return {
    register: post('/runner/register', { version: 'x', containers: [] }),
    claim: post('/runner/claim', { seq: 1_000_000, routes: [], holding: [], max: 1, wait_ms: 0 }),
    heartbeat: post('/runner/heartbeat', { leases: [{ ...lease, started: true }], containers: [] }),
    control: post('/runner/control', { holding: [lease], mode: 'run', wait_ms: 0 }),
    answer: post('/runner/answer', { question: job.id, answer: '{"echo":{}}' }),
    report: post('/runner/report', { results: [result] }),
    parts: () => ({
      path: `/runner/jobs/${job.id}/result/0?attempt=${job.attempt}&kind=result`,
      method: 'PUT',
      body: 'part',
    }),
    stream: () => ({
      path: `/runner/jobs/${job.id}/stream?attempt=${job.attempt}&from=0`,
      method: 'PUT',
      body: 'part',
    }),
    input: () => ({ path: `/runner/jobs/${job.id}/input?attempt=${job.attempt}` }),
  }
}

async function createLease(holder: TestRunner = runner) {
  await edge.db.orm.run('delete from jobs')
  const id = await edge.createJob({ containers: ['echo'], data: { secret: 1 } })
  const [job] = await holder.claim({ max: 1 })
  expect(job?.id).toBe(id)
  return job!
}

async function send(request: RequestInit & { path: string }, authorization?: string): Promise<Response> {
  const headers = new Headers(request.headers)
  if (authorization !== undefined) headers.set('authorization', authorization)
  return await edge.request(request.path, { ...request, headers })
}

/** Status, headers and body: all that a stranger can tell one refusal from another by. */
/** When it was sent, and whether its request had wholly arrived by then. */
const ofTheMoment = new Set(['date', 'connection', 'keep-alive'])

async function looks(response: Response): Promise<unknown> {
  const headers = Object.fromEntries([...response.headers].filter(([name]) => !ofTheMoment.has(name)))
  return { status: response.status, headers, body: await response.text() }
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Tokens that look right but for one thing. */
async function badTokens(): Promise<Record<string, string | undefined>> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: runner.id, aud: edge.url, iat: now, exp: now + 60 }
  const unsigned = (header: object) => `${base64url(header)}.${base64url(claims)}`
  const [row] = await edge.db.orm.all<{ public_key: string }>(
    `select public_key from runners where id = '${runner.id}'`,
  )
  const publicKey = row!.public_key
  const hmac = (secret: Buffer | string) => {
    const text = unsigned({ alg: 'HS256', kid: runner.id })
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const stranger = await generateKeyPair('EdDSA', { crv: 'Ed25519' })
  const signed = (header: object) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', kid: runner.id, ...header })
      .sign(stranger.privateKey)
  const good = await runner.token()
  return {
    'no header': undefined,
    'an empty token': 'Bearer ',
    'another scheme': `Basic ${good}`,
    'no token': 'Bearer nonsense',
    'the admin token': `Bearer ${adminToken}`,
    'a wrong key': `Bearer ${await signed({})}`,
    'an unknown runner': `Bearer ${await signed({ kid: 'unknown' })}`,
    'no kid': `Bearer ${await signed({ kid: undefined })}`,
    'a key in the header': `Bearer ${await signed({ jwk: await exportJWK(stranger.publicKey) })}`,
    'a wrong audience': `Bearer ${await runner.token({ audience: 'https://other.example' })}`,
    expired: `Bearer ${await runner.token({ issuedAt: now - 120 })}`,
    'too long-lived': `Bearer ${await runner.token({ seconds: 61 })}`,
    'dated ahead': `Bearer ${await runner.token({ issuedAt: now + 3_600 })}`,
    'alg none': `Bearer ${unsigned({ alg: 'none', kid: runner.id })}.`,
    'HS256 with the public key as text': `Bearer ${hmac(publicKey)}`,
    'HS256 with the public key as bytes': `Bearer ${hmac(Buffer.from(publicKey, 'base64url'))}`,
    'a changed payload': `Bearer ${good.split('.')[0]}.${base64url({ ...claims, exp: now + 59 })}.${good.split('.')[2]}`,
  }
}

describe('tokens', () => {
  test('default: a good token is let in, and all bad ones are told the same', async () => {
    const job = await createLease()
    const control = requestsOf(runner, job).control!
    expect((await send(control(), `Bearer ${await runner.token()}`)).status).toBe(200)
    const expected = await looks(await send(control()))
    expect(expected).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } })
    for (const [what, authorization] of Object.entries(await badTokens())) {
      expect(await looks(await send(control(), authorization)), what).toEqual(expected)
    }
    expect(await refusalOf(await send(control()))).toEqual(unauthorized)
  })

  test('behavior: no route is open without a token', async () => {
    const job = await createLease()
    for (const [what, request] of Object.entries(requestsOf(runner, job))) {
      expect((await send(request())).status, what).toBe(401)
    }
    expect((await edge.request('/runner/unknown')).status).toBe(401)
    expect((await send(requestsOf(runner, job).control!(), `bearer ${await runner.token()}`)).status).toBe(
      200,
    )
  })
})

describe('revocation', () => {
  test('default: from then on all is refused as any bad token is, even a token just used', async () => {
    const revoked = await startTestRunner(edge, [policyOf('echo')])
    const job = await createLease(revoked)
    const authorization = `Bearer ${await revoked.token()}`
    const requests = requestsOf(revoked, job)
    expect((await send(requests.input!(), authorization)).status).toBe(200)
    expect(
      (await edge.request(`/admin/runners/${revoked.id}`, { method: 'DELETE', headers: admin })).status,
    ).toBe(200)
    for (const [what, request] of Object.entries(requests)) {
      expect(await refusalOf(await send(request(), authorization)), what).toEqual(unauthorized)
    }
    expect(await (await edge.request(`/api/jobs/${job.id}`)).json()).toMatchObject({
      state: 'running',
      tries: 0,
    })
    expect(await edge.db.orm.all('select seq from parts')).toEqual([])
  })

  test('behavior: enrolling the key again lets it in again', async () => {
    const [row] = await edge.db.orm.all<{ public_key: string; id: string }>(
      'select id, public_key from runners where revoked_at is not null',
    )
    const body = JSON.stringify({ name: 'back', public_key: row!.public_key })
    const response = await edge.request('/admin/runners', { method: 'POST', body, headers: admin })
    expect(await response.json()).toEqual({ id: row!.id })
    const left = await edge.db.orm.all('select id from runners where revoked_at is not null')
    expect(left).toEqual([])
  })
})

describe("another runner's lease", () => {
  test('default: neither input nor parts nor report nor heartbeat', async () => {
    const job = await createLease()
    const thief = await startTestRunner(edge, [policyOf('echo')])
    const authorization = `Bearer ${await thief.token()}`
    const requests = requestsOf(thief, job)
    const stale = { status: 409, code: 'conflict', error: 'The lease is not yours any more', params: {} }
    expect(await refusalOf(await send(requests.input!(), authorization))).toEqual(stale)
    expect(await refusalOf(await send(requests.parts!(), authorization))).toEqual(stale)
    const { id, attempt } = job
    expect(await (await send(requests.report!(), authorization)).json()).toEqual({
      answers: [{ id, attempt, answer: 'stale' }],
    })
    expect(await (await send(requests.heartbeat!(), authorization)).json()).toEqual({
      lost: [{ id, attempt }],
    })
    expect(await (await edge.request(`/api/jobs/${id}`)).json()).toMatchObject({
      state: 'running',
      runner: runner.id,
    })
  })

  test("behavior: nor another runner's instance", async () => {
    const thief = await startTestRunner(edge, [policyOf('echo')])
    const job = await createLease()
    const requests = requestsOf(runner, job)
    const authorization = `Bearer ${await thief.token()}`
    const unknown = { status: 409, code: 'conflict', error: 'Unknown instance: register again', params: {} }
    for (const what of ['claim', 'heartbeat', 'control'] as const) {
      expect(await refusalOf(await send(requests[what]!(), authorization)), what).toEqual(unknown)
    }
    expect((await send(requests.register!(), authorization)).status).toBe(409)
    const [row] = await edge.db.orm.all<{ containers: string }>(
      `select containers from runners where id = '${thief.id}'`,
    )
    expect(row?.containers).toContain('echo')
  })
})

describe('admin', () => {
  test('default: enrol, list, change mode, revoke', async () => {
    const { publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const { x } = await exportJWK(publicKey)
    const call = async (method: string, path: string, body?: object) =>
      await edge.request(path, { method, headers: admin, ...(body ? { body: JSON.stringify(body) } : {}) })
    const enrolled = await call('POST', '/admin/runners', { name: 'gpu-1', public_key: x })
    const { id } = (await enrolled.json()) as { id: string }
    const listed = async () =>
      ((await (await call('GET', '/admin/runners')).json()) as { id: string }[]).find(
        entry => entry.id === id,
      )
    const time = expect.stringMatching(/^\d{4}-.*Z$/)
    const fresh = {
      id,
      name: 'gpu-1',
      mode: 'run',
      enrolled_at: time,
      revoked_at: null,
      last_seen_at: null,
      containers: [],
      labels: {},
      gpu_labels: [],
      process: null,
    }
    expect(await listed()).toEqual(fresh)
    expect(await (await call('PATCH', `/admin/runners/${id}`, { mode: 'drain' })).json()).toEqual({
      mode: 'drain',
    })
    expect(await listed()).toMatchObject({ mode: 'drain' })
    expect(await (await call('DELETE', `/admin/runners/${id}`)).json()).toEqual({ id })
    const { revoked_at } = (await listed()) as unknown as { revoked_at: string }
    await call('DELETE', `/admin/runners/${id}`)
    expect(await listed()).toMatchObject({ revoked_at })
    const notFound = { status: 404, code: 'not_found', error: 'Runner not found', params: {} }
    for (const nobody of ['nobody', '%00', 'x'.repeat(129)]) {
      const path = `/admin/runners/${nobody}`
      expect(await refusalOf(await call('DELETE', path))).toEqual(notFound)
      expect(await refusalOf(await call('PATCH', path, { mode: 'run' }))).toEqual(notFound)
    }
  })

  test('behavior: closed without the admin token, and to runners', async () => {
    const tokens = [
      undefined,
      'Bearer x',
      `Bearer ${adminToken}x`,
      adminToken,
      `Bearer ${await runner.token()}`,
    ]
    for (const token of tokens) {
      const headers = token === undefined ? {} : { authorization: token }
      for (const method of ['GET', 'POST']) {
        expect(await refusalOf(await edge.request('/admin/runners', { method, headers }))).toEqual(
          unauthorized,
        )
      }
    }
  })

  test.for([
    ['{', 'malformed_json', 'Malformed JSON'],
    ['{}', 'invalid_request', 'Invalid json: name: '],
    [
      '{"name":"x","public_key":"short"}',
      'invalid_request',
      'Invalid json: public_key: must be 32 bytes in base64url',
    ],
    [
      // Of another key than the one that ends in A only in how it is written.
      '{"name":"x","public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}',
      'invalid_request',
      'Invalid json: public_key: must be 32 bytes in base64url',
    ],
    [
      '{"name":"a\\u0000","public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}',
      'invalid_request',
      'Invalid json: name: must be text',
    ],
    [
      '{"name":"\\ud800","public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}',
      'invalid_request',
      'Invalid json: name: must be text',
    ],
    [
      '{"name":"","public_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}',
      'invalid_request',
      'Invalid json: name: ',
    ],
  ] as const)('behavior: 400 for %s', async ([body, code, error]) => {
    const response = await edge.request('/admin/runners', { method: 'POST', body, headers: admin })
    expect(await refusalOf(response)).toMatchObject({
      status: 400,
      code,
      error: expect.stringContaining(error),
    })
  })
})

describe('verifier', () => {
  test('behavior: asks for a key once per token, and forgets the token when it has expired', async () => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const { x } = await exportJWK(publicKey)
    const clock = { ms: 1_800_000_000_000 }
    let asked = 0
    const key = async () => {
      asked += 1
      return x
    }
    const verify = createTokenVerifier({ audience: 'https://edge', now: () => clock.ms, key })
    const issuedAt = clock.ms / 1000
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'EdDSA', kid: 'r' })
      .setIssuer('r')
      .setAudience('https://edge')
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + 60)
      .sign(privateKey)
    expect([await verify(token), await verify(token)]).toEqual(['r', 'r'])
    expect(asked).toBe(1)
    clock.ms += 60_000 + 10_000
    expect(await verify(token)).toBeNull()
    expect(await verify(randomUUID())).toBeNull()
  })
})
