import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import * as v from 'valibot'
import { getAbiItem, type Hex, toFunctionSelector, zeroAddress } from 'viem'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { containersHash } from '../../src/client/containers-hash.ts'
import { toDelegatedText } from '../../src/client/delegated.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { dataTypedDataOf } from '../../src/protocol/data-signature.ts'
import { DelegatedCreated } from '../../src/protocol/delegated.ts'
import { limits } from '../../src/protocol/limits.ts'
import { nodeAddress, nodeKey, startTestChain, type TestChain } from '../support/chain.ts'
import { chainVars, type Delegator, deployDelegator, signer, stranger } from '../support/delegators.ts'
import { refusalOf, startTestEdge, type TestEdge } from '../support/edge.ts'
import { type RpcProxy, startRpcProxy } from '../support/rpc-proxy.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const token = `0x${'11'.repeat(20)}`

let chain: TestChain
let proxy: RpcProxy
let edge: TestEdge
let runner: TestRunner
let delegator: Delegator
/** What the node has answered. */
let answers: string[] = []

const containers = [
  policyOf('echo'),
  policyOf('inner', { external: false }),
  policyOf('office', { allowed_delegate_addresses: [token] }),
  policyOf('dear', { accepted_payments: { [zeroAddress]: '10' } }),
  policyOf('careful', { signed_data: true }),
]

beforeAll(async () => {
  chain = await startTestChain()
  proxy = await startRpcProxy(chain.rpcUrl)
  delegator = await deployDelegator(chain)
  edge = await startTestEdge({
    vars: chainVars(chain, { url: proxy.url, config: { payment_address: nodeAddress } }),
  })
  runner = await startTestRunner(edge, containers)
}, 120_000)
afterAll(async () => {
  await edge?.[Symbol.asyncDispose]()
  await proxy?.close()
  await chain?.close()
})
beforeEach(async () => {
  answers = []
  for (const table of ['jobs', 'parts', 'deliveries', 'subscriptions', 'delegations'])
    await edge.db.orm.run(`delete from ${table}`)
})
afterEach(() => {
  proxy.setFault(() => null)
  proxy.setOverride(() => null)
})

const creation = toFunctionSelector(
  getAbiItem({ abi: eip712CoordinatorAbi, name: 'createSubscriptionDelegatee' }),
)
/** The node asks what comes of creating one. */
const asksToCreate = (calls: readonly object[]) => JSON.stringify(calls).includes(creation)
const body: Delegator['body'] = (asking, data) => delegator.body(asking, data)
const send = async (text: string, path = '/api/subscriptions', init: RequestInit = {}) => {
  const response = await edge.request(path, { method: 'POST', body: text, ...init })
  answers.push(await response.clone().text())
  return response
}
const created = async (response: Response) => {
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
  return v.parse(v.strictObject(DelegatedCreated.entries), await response.json())
}
const take = async (text: string, path?: string) => await created(await send(text, path))
const get = async (path: string) => {
  const response = await edge.request(path)
  const text = await response.text()
  answers.push(text)
  return { status: response.status, body: JSON.parse(text) as Record<string, unknown> }
}
const count = async (table: string) => {
  const [row] = await edge.db.orm.all<{ n: number }>(`select count(*) as n from ${table}`)
  return row?.n ?? 0
}

describe('taking on', () => {
  test('default: verified, begun and answered with where to ask for it', async () => {
    const text = await body()
    const response = await send(text)
    expect(response.headers.get('idempotent-replayed')).toBeNull()
    const answer = await created(response)
    expect(answer).toEqual({
      id: expect.stringMatching(uuid),
      status_url: `${edge.url}/api/subscriptions/${answer.id}`,
      job_id: expect.stringMatching(uuid),
      chain_id: chain.id,
      subscription_id: null,
      interval: 1,
    })
    const [job] = await runner.claim()
    expect(job).toMatchObject({ id: answer.job_id, containers: ['echo'] })
  })

  test('default: the same again is answered the same, at every door, and computed once', async () => {
    const text = await body()
    const answer = await take(text)
    for (const path of ['/api/subscriptions', '/api/jobs']) {
      const again = await send(text, path)
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(await created(again)).toEqual(answer)
    }
    const batch = await send(`[${text},${text}]`, '/api/jobs/batch')
    expect(await batch.json()).toEqual([answer, answer])
    expect(await runner.claim()).toHaveLength(1)
  })

  test('behavior: at once and often: one', async () => {
    const text = await body()
    const taken = await Promise.all(Array.from({ length: 6 }, () => take(text)))
    expect(new Set(taken.map(({ id }) => id)).size).toBe(1)
    expect(await runner.claim()).toHaveLength(1)
  })

  test('behavior: other data under the same signature is a conflict, and changes nothing', async () => {
    const signed = await delegator.sign()
    const { nonce } = signed.signature
    await take(toDelegatedText(signed, { dataJson: '{"a":1}' }))
    const other = await send(toDelegatedText(signed, { dataJson: '{"a": 1}' }))
    expect(await refusalOf(other)).toEqual({
      status: 409,
      code: 'data_conflict',
      error: 'It was taken on with other data',
      params: { owner: delegator.consumer.toLowerCase(), nonce },
    })
    const [row] = await edge.db.orm.all<{ data: string }>('select data from delegations')
    expect(row).toEqual({ data: '{"a":1}' })
  })

  test('behavior: another subscription under the same nonce is a conflict', async () => {
    await take(await body({ nonce: 900 }))
    expect(await refusalOf(await send(await body({ nonce: 900, redundancy: 2 })))).toEqual({
      status: 409,
      code: 'nonce_used',
      error: 'The nonce was taken for another subscription',
      params: { owner: delegator.consumer.toLowerCase(), nonce: 900 },
    })
  })

  test('behavior: a batch mixes jobs and subscriptions: each is judged by itself, in order', async () => {
    const job = '{"containers":["echo"],"data":{"job":1}}'
    const items = [
      job,
      await body(),
      '{"containers":["nobody"],"data":{}}',
      await body({ containers: containersHash(['nobody']) }),
      job,
      await body({ account: stranger }),
      await body(),
      '7',
    ]
    const response = await send(`[${items.join(',')}]`, '/api/jobs/batch')
    expect(response.status).toBe(200)
    const told = (await response.json()) as Record<string, unknown>[]
    expect(told).toMatchObject([
      { id: expect.stringMatching(uuid) },
      { chain_id: chain.id, interval: 1 },
      { code: 'unsupported_container' },
      { code: 'unsupported_containers' },
      { id: expect.stringMatching(uuid) },
      { code: 'signer_mismatch' },
      { chain_id: chain.id, interval: 1 },
      { code: 'invalid_request' },
    ])
    expect(Object.keys(told[0]!)).toEqual(['id'])
    expect((await runner.claim()).map(({ id }) => id).toSorted()).toEqual(
      [told[0]!.id, told[1]!.job_id, told[4]!.id, told[6]!.job_id].toSorted(),
    )
  })

  test('behavior: what begins later has no job yet', async () => {
    const activeAt = Math.floor(Date.now() / 1000) + 86_400
    expect(await take(await body({ active_at: activeAt, period: 60, frequency: 2 }))).toMatchObject({
      job_id: null,
      subscription_id: null,
      interval: 0,
    })
    expect(await runner.claim()).toEqual([])
  })

  test('behavior: chain_id may be left out where there is one chain', async () => {
    const text = (await body()).replace(`,"chain_id":${chain.id}`, '')
    expect(text).not.toContain('chain_id')
    expect(await take(text)).toMatchObject({ chain_id: chain.id })
  })

  test('behavior: a client that leaves meanwhile is served all the same', async () => {
    const leaving = new AbortController()
    proxy.setFault(({ calls }) => {
      if (asksToCreate(calls)) leaving.abort()
      return null
    })
    await expect(send(await body(), '/api/subscriptions', { signal: leaving.signal })).rejects.toHaveProperty(
      'name',
      'AbortError',
    )
    await expect.poll(async () => await runner.claim(), { timeout: 10_000 }).toHaveLength(1)
    expect(await count('delegations')).toBe(1)
  })
})

describe('data', () => {
  const dataOf = (bytes: number) => `{"x":"${'x'.repeat(bytes - 8)}"}`

  test.for([limits.inlineBytes, limits.inlineBytes + 1, limits.delegatedDataBytes])(
    'default: of %i bytes reaches the runner byte for byte, and leaves no parts of the request',
    async bytes => {
      const data = dataOf(bytes)
      await take(await body({}, data))
      const [row] = await edge.db.orm.all<{ data: string; data_bytes: number }>(
        'select data, data_bytes from delegations',
      )
      expect(row?.data === data).toBe(true)
      expect(row?.data_bytes).toBe(bytes)
      const [job] = await runner.claim()
      const response = await runner.send(`/runner/jobs/${job!.id}/input?attempt=${job!.attempt}`)
      expect((job!.data ?? (await response.text())) === data).toBe(true)
      const [left] = await edge.db.orm.all<{ n: number }>(
        sql`select count(*) as n from parts where job <> ${job!.id}`,
      )
      expect(left?.n).toBe(0)
    },
  )

  test('behavior: above the limit it is refused with the limit, and nothing is kept of it', async () => {
    const response = await send(await body({}, dataOf(limits.delegatedDataBytes + 1)))
    expect(await refusalOf(response)).toEqual({
      status: 413,
      code: 'body_too_large',
      error: 'The data of a delegated subscription is too large',
      params: { limit: limits.delegatedDataBytes },
    })
    expect([await count('delegations'), await count('jobs'), await count('parts')]).toEqual([0, 0, 0])
  })

  test('behavior: a body above what any may have is refused', async () => {
    // Its length is not announced, or it would be refused unread.
    const sent = new Blob([await body({}, dataOf(limits.bodyBytes))]).stream()
    const init = { method: 'POST', body: sent, duplex: 'half' } as RequestInit
    expect(await refusalOf(await edge.request('/api/subscriptions', init))).toMatchObject({
      status: 413,
      code: 'body_too_large',
      params: { limit: limits.bodyBytes },
    })
    expect(await count('parts')).toBe(0)
  })

  test.for(['/api/subscriptions', '/api/jobs'])(
    'behavior: it must be there, and an object: %s',
    async path => {
      const text = await body()
      const without = text.replace(',"data":{"a":1}', '')
      expect(without).not.toContain('data')
      const problem = async (sent: string) => await refusalOf(await send(sent, path))
      const refused = (error: string) => ({
        status: 400,
        code: 'invalid_request',
        error: `Invalid json: data: ${error}`,
        params: {},
      })
      expect(await problem(without)).toEqual(refused('is missing'))
      for (const data of ['null', '"x"', '[]', '1', 'true'])
        expect(await problem(text.replace('{"a":1}', data))).toEqual(refused('must be an object'))
    },
  )

  test('behavior: characters of several bytes come through whole', async () => {
    const data = `{"x":"${'☃'.repeat(40_000)}"}`
    await take(await body({}, data))
    const [row] = await edge.db.orm.all<{ data: string }>('select data from delegations')
    expect(row?.data === data).toBe(true)
  })
})

describe('refusals', () => {
  const owner = () => delegator.consumer.toLowerCase()
  const refused: [string, () => Parameters<Delegator['sign']>[0], () => object][] = [
    [
      'Signature expired',
      () => ({ expiry: 1_000 }),
      () => ({
        status: 400,
        code: 'signature_expired',
        params: { expiry: 1_000, time: expect.any(Number) },
      }),
    ],
    [
      'Container-set not supported',
      () => ({ containers: containersHash(['echo', 'nobody']) }),
      () => ({
        status: 422,
        code: 'unsupported_containers',
        params: { containers_hash: containersHash(['echo', 'nobody']) },
      }),
    ],
    [
      'First container must be external',
      () => ({ containers: containersHash(['inner']) }),
      () => ({ status: 403, code: 'not_external', params: { first_container: 'inner' } }),
    ],
    [
      'Container does not generate proof',
      () => ({ verifier: token }),
      () => ({ status: 422, code: 'unsupported_proof', params: { container: 'echo' } }),
    ],
    [
      'Container does not generate proof',
      // Before the owner is looked at, as the reference has it.
      () => ({ containers: containersHash(['office']), verifier: token }),
      () => ({ status: 422, code: 'unsupported_proof', params: { container: 'office' } }),
    ],
    [
      'Container not allowed for address',
      () => ({ containers: containersHash(['office']) }),
      () => ({ status: 403, code: 'not_allowed', params: { container: 'office', address: owner() } }),
    ],
    [
      'Invalid payment',
      () => ({ containers: containersHash(['dear']), payment_amount: 9 }),
      () => ({ status: 422, code: 'invalid_payment', params: { reason: 'below minimum payment' } }),
    ],
    [
      'Invalid payment',
      () => ({ containers: containersHash(['dear']), payment_amount: 10, payment_token: token }),
      () => ({ status: 422, code: 'invalid_payment', params: { reason: 'token not accepted' } }),
    ],
    [
      'Subscription completed',
      () => ({ active_at: 1, period: 1 }),
      () => ({ status: 422, code: 'completed', params: {} }),
    ],
    [
      'Subscription signer mismatch',
      () => ({ account: stranger }),
      () => ({
        status: 403,
        code: 'signer_mismatch',
        params: { owner: owner(), signer: expect.stringMatching(/^0x[0-9a-f]{40}$/) },
      }),
    ],
    [
      'The owner names no signer',
      () => ({ owner: stranger.address }),
      () => ({ status: 403, code: 'signer_mismatch', params: { owner: stranger.address.toLowerCase() } }),
    ],
    [
      'The data has to be signed as well',
      () => ({ containers: containersHash(['careful']) }),
      () => ({ status: 403, code: 'data_not_signed', params: { owner: owner() } }),
    ],
  ]
  test.each(refused)('behavior: %s', async (error, asking, expected) => {
    const text = await body(asking())
    for (const path of ['/api/subscriptions', '/api/jobs'])
      expect(await refusalOf(await send(text, path))).toEqual({ error, ...expected() })
    expect([await count('delegations'), await count('subscriptions'), await count('jobs')]).toEqual([0, 0, 0])
  })

  test('behavior: Chain not enabled', async () => {
    const text = (await body()).replace(`"chain_id":${chain.id}`, '"chain_id":5')
    expect(await refusalOf(await send(text))).toEqual({
      status: 501,
      code: 'chain_not_enabled',
      error: 'Chain not enabled',
      params: { chain: 5 },
    })
  })

  test('behavior: a signature of no form that counts is nobody’s', async () => {
    const signed = await delegator.sign()
    const bent = { ...signed, signature: { ...signed.signature, v: 29 } }
    expect(await refusalOf(await send(toDelegatedText(bent, { data: {} })))).toEqual({
      status: 400,
      code: 'invalid_signature',
      error: 'The signature is not valid',
      params: { owner: owner() },
    })
  })

  const signData = async (nonce: number, data: string, account = signer) =>
    await account.signTypedData(
      dataTypedDataOf(
        { chainId: chain.id, coordinator: chain.coordinator },
        { owner: delegator.consumer, nonce, data },
      ),
    )

  test('behavior: a signature for the data counts for just that data, of the signer', async () => {
    const signed = await delegator.sign({ containers: containersHash(['careful']) })
    const { nonce } = signed.signature
    const wrong = {
      status: 400,
      code: 'invalid_signature',
      error: 'The signature for the data is not its signer’s',
      params: { owner: owner() },
    }
    const sent = async (data_signature: Hex, data: string) =>
      await send(toDelegatedText({ ...signed, data_signature }, { dataJson: data }))
    expect(await refusalOf(await sent(await signData(nonce, '{"a": 1}'), '{"a":1}'))).toEqual(wrong)
    expect(await refusalOf(await sent(await signData(nonce + 1, '{"a":1}'), '{"a":1}'))).toEqual(wrong)
    expect(await refusalOf(await sent(await signData(nonce, '{"a":1}', stranger), '{"a":1}'))).toEqual(wrong)
    expect(await count('delegations')).toBe(0)
    const { id } = await created(await sent(await signData(nonce, '{"a":1}'), '{"a":1}'))
    expect((await get(`/api/subscriptions/${id}`)).body).toMatchObject({ data_signed: true })
  })

  test('behavior: a consumer may ask for it, too', async () => {
    const question = toFunctionSelector('function requiresSignedData()')
    proxy.setOverride(call =>
      JSON.stringify(call.params).includes(question) ? { result: `0x${'1'.padStart(64, '0')}` } : null,
    )
    const signed = await delegator.sign()
    const unsigned = await send(toDelegatedText(signed, { dataJson: '{}' }))
    expect(await refusalOf(unsigned)).toMatchObject({ status: 403, code: 'data_not_signed' })
    const data_signature = await signData(signed.signature.nonce, '{}')
    await take(toDelegatedText({ ...signed, data_signature }, { dataJson: '{}' }))
  })

  test('behavior: data that is signed takes the place of data that is not, until it is begun', async () => {
    const activeAt = Math.floor(Date.now() / 1000) + 86_400
    const signed = await delegator.sign({ active_at: activeAt, period: 60 })
    const { nonce } = signed.signature
    await take(toDelegatedText(signed, { dataJson: '{"by":"whoever"}' }))
    const data_signature = await signData(nonce, '{"by":"signer"}')
    const { id } = await take(toDelegatedText({ ...signed, data_signature }, { dataJson: '{"by":"signer"}' }))
    expect(await edge.db.orm.all('select id, data from delegations')).toEqual([
      { id, data: '{"by":"signer"}' },
    ])
    const again = await send(toDelegatedText(signed, { dataJson: '{"by":"whoever"}' }))
    expect(await refusalOf(again)).toMatchObject({ status: 409, code: 'data_conflict' })
    // What a stranger has sent is computed, and stays.
    const other = await delegator.sign()
    await take(toDelegatedText(other, { dataJson: '{"by":"whoever"}' }))
    const late = await signData(other.signature.nonce, '{}')
    const response = await send(toDelegatedText({ ...other, data_signature: late }, { dataJson: '{}' }))
    expect(await refusalOf(response)).toMatchObject({ status: 409, code: 'data_conflict' })
  })

  test('behavior: a stream is for jobs, in the words of the reference', async () => {
    expect(await refusalOf(await send(await body(), '/api/jobs/stream'))).toEqual({
      status: 405,
      code: 'streaming_offchain_only',
      error: 'Streaming only supported for OffchainJob requests.',
      params: {},
    })
  })

  test('behavior: nobody chooses its id', async () => {
    const id = '0199d2f0-0000-7000-8000-000000000005'
    const response = await edge.request(`/api/jobs/${id}`, { method: 'PUT', body: await body() })
    expect(await refusalOf(response)).toEqual({
      status: 400,
      code: 'invalid_request',
      error: 'A delegated subscription cannot be given an id',
      params: {},
    })
    expect(await count('delegations')).toBe(0)
  })

  test('behavior: a job is no subscription', async () => {
    const response = await send('{"containers":["echo"],"data":{}}')
    expect(await refusalOf(response)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      error: expect.stringMatching(/^Invalid json: subscription: is missing; signature: is missing/),
    })
    expect(await count('jobs')).toBe(0)
  })

  test.each(['', ' ', '[]', '7', 'null', '"x"', '{', '{"subscription":'])(
    'behavior: a body that is no subscription: %j',
    async text => {
      expect((await send(text)).status).toBe(400)
      expect(await count('delegations')).toBe(0)
    },
  )
})

describe('fields', () => {
  const fields = [
    ...['owner', 'active_at', 'period', 'frequency', 'redundancy', 'containers', 'lazy', 'verifier'],
    ...['payment_amount', 'payment_token', 'wallet', 'nonce', 'expiry', 'v', 'r', 's'],
  ]
  const wrong = [
    'null',
    '""',
    '-1',
    '1.5',
    '1e80',
    '[]',
    '{}',
    '"0x"',
    `${2n ** 256n}`,
    '"☃"',
    `"${'f'.repeat(5_000)}"`,
  ]

  test('behavior: each that is wrong, or is not there, is named', async () => {
    const text = await body()
    for (const field of fields) {
      const member = new RegExp(`"${field}":("[^"]*"|[^,}]+),?`)
      for (const value of [...wrong, undefined]) {
        const sent = text
          .replace(member, value === undefined ? '' : `"${field}":${value},`)
          .replaceAll(',}', '}')
        expect(sent).not.toBe(text)
        const told = await refusalOf(await send(sent, '/api/jobs'))
        expect([field, value, told]).toEqual([
          field,
          value,
          {
            status: 400,
            code: 'invalid_request',
            error: expect.stringMatching(new RegExp(`^Invalid json: (subscription|signature)\\.${field}: `)),
            params: {},
          },
        ])
      }
    }
    expect(await count('delegations')).toBe(0)
  })

  test('behavior: whatever is there, it is answered, and not with a 500', async () => {
    const text = await body()
    const junk = fc.oneof(fc.jsonValue(), fc.bigInt(-1n, 2n ** 257n), fc.constantFrom(...wrong))
    const part = fc.constantFrom(...fields, 'subscription', 'signature', 'chain_id', 'data_signature')
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(part, junk), { minLength: 1, maxLength: 3 }), async changes => {
        let sent = text
        for (const [field, value] of changes) {
          const said = typeof value === 'bigint' ? String(value) : JSON.stringify(value)
          const member = new RegExp(`"${field}":("[^"]*"|[^,}{]+|\\{[^}]*\\})`)
          sent = member.test(sent)
            ? sent.replace(member, () => `"${field}":${said}`)
            : sent.replace('{', () => `{"${field}":${said},`)
        }
        const response = await edge.create(sent)
        const told = await response.text()
        expect([response.status, told]).not.toEqual([500, told])
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  test('behavior: no digit is lost, however it is written', async () => {
    const amount = 2n ** 255n + 1n
    const signed = await delegator.sign({ payment_amount: amount })
    const { r, s } = signed.signature
    const text = toDelegatedText(signed, { dataJson: '{}' })
    expect(text).toContain(`"r":${BigInt(r)},"s":${BigInt(s)}`)
    const answer = await take(text)
    const [row] = await edge.db.orm.all(sql`
      select r, s, payment_amount from delegations
        join subscriptions on subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription`)
    expect(row).toEqual({ r, s, payment_amount: String(amount) })
    const asText = text
      .replace(`"r":${BigInt(r)}`, `"r":"${r}"`)
      .replace(`"s":${BigInt(s)}`, `"s":"${BigInt(s)}"`)
      .replace(`"payment_amount":${amount}`, `"payment_amount":"0x${amount.toString(16)}"`)
    expect(asText).not.toBe(text)
    expect(await take(asText)).toEqual(answer)
  })
})

describe('a chain that does not answer', () => {
  test('default: nothing is taken on, and the client is told when to come again', async () => {
    const text = await body()
    const taken = await body()
    const answer = await take(taken)
    proxy.setFault(() => ({ kind: 'status', status: 500 }))
    const before = await count('delegations')
    // What is known is told without it.
    expect(await take(taken)).toEqual(answer)
    for (const path of ['/api/subscriptions', '/api/jobs']) {
      const response = await send(text, path)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(await refusalOf(response)).toEqual({
        status: 503,
        code: 'chain_unavailable',
        error: 'The chain does not answer',
        params: { chain: chain.id },
      })
    }
    expect(await count('delegations')).toBe(before)
    proxy.setFault(() => null)
    await expect.poll(async () => (await send(text)).status, { timeout: 30_000 }).toBe(200)
  }, 60_000)
})

describe('GET /api/subscriptions/:id', () => {
  test('default: what it is, before it is on the chain and after', async () => {
    const signed = await delegator.sign()
    const { nonce, expiry } = signed.signature
    const answer = await take(toDelegatedText(signed, { dataJson: '{"a":1}' }))
    const path = new URL(answer.status_url).pathname
    const { status, body: before } = await get(path)
    expect(status).toBe(200)
    expect(before).toMatchObject({
      id: answer.id,
      chain: chain.id,
      subscription_id: null,
      nonce,
      expiry,
      data_signed: false,
      owner: delegator.consumer.toLowerCase(),
      containers: ['echo'],
      deliveries: [{ interval: 1, job: answer.job_id, state: 'computing', transaction: null }],
    })
    // An answer that is not on the chain is nobody's to read.
    expect((await get(`/api/jobs/${answer.job_id}`)).status).toBe(404)
    expect((await get('/api/subscriptions')).body).toEqual({ subscriptions: [], next: null })

    await runner.report((await runner.claim()).map(claimed => success(claimed, '{"output":"0x1234"}')))
    await edge.runSchedule()
    const delivered = async () => (await get(path)).body
    await expect
      .poll(delivered, { timeout: 20_000 })
      .toMatchObject({ subscription_id: expect.any(Number), deliveries: [{ state: 'delivered' }] })
    const after = await delivered()
    expect(after).toMatchObject({
      id: answer.id,
      subscription_id: expect.any(Number),
      deliveries: [{ interval: 1, job: answer.job_id, transaction: { succeeded: true } }],
    })
    const id = after.subscription_id as number
    expect((await get(`/api/jobs/${answer.job_id}`)).body).toMatchObject({
      subscription: { chain: chain.id, id, delivery: { state: 'delivered' } },
    })
    expect((await get(`/api/subscriptions/${chain.id}/${id}`)).body).toMatchObject({
      id,
      containers: ['echo'],
    })
    expect(await take(toDelegatedText(signed, { dataJson: '{"a":1}' }))).toEqual({
      ...answer,
      subscription_id: id,
    })
    const told = answers.join()
    for (const secret of [nodeKey, proxy.url, BigInt(signed.signature.r), BigInt(signed.signature.s)])
      expect(told).not.toContain(String(secret))
    for (const part of [signed.signature.r, signed.signature.s, nodeKey])
      expect(told).not.toContain(part.slice(2))
  }, 60_000)

  test('behavior: a job says that what it is for is not on the chain', async () => {
    const { job_id } = await take(await body())
    // As when a reorganisation has undone what created it.
    await edge.db.orm.run(`update deliveries set state = 'delivered'`)
    expect((await get(`/api/jobs/${job_id}`)).body).toMatchObject({
      id: job_id,
      subscription: { chain: chain.id, id: null, delivery: { interval: 1 } },
    })
  })

  test.for([
    ['0199d2f0-0000-7000-8000-000000000005', 404, 'not_found'],
    ['7', 400, 'invalid_request'],
    ['%00', 400, 'invalid_request'],
  ] as const)('behavior: of one that is not: %s', async ([id, status, code]) => {
    expect(await get(`/api/subscriptions/${id}`)).toMatchObject({ status, body: { code } })
  })
})

describe('several chains', () => {
  let both: TestEdge
  let wrong: RpcProxy
  beforeAll(async () => {
    // An endpoint of another chain than it is there for.
    wrong = await startRpcProxy(chain.rpcUrl)
    const one = chainVars(chain, { url: chain.rpcUrl })
    const other = chainVars({ ...chain, id: 7 }, { url: wrong.url })
    const chains = [one.CHAINS, other.CHAINS].flatMap(text => JSON.parse(text ?? '[]') as object[])
    both = await startTestEdge({ vars: { ...one, ...other, CHAINS: JSON.stringify(chains) } })
    await startTestRunner(both, containers)
  })
  afterAll(async () => {
    await both?.[Symbol.asyncDispose]()
    await wrong?.close()
  })

  const ask = async (text: string, chainId?: string) =>
    await both.create(
      chainId === undefined
        ? text
        : text.replace(`,"chain_id":${chain.id}`, chainId && `,"chain_id":${chainId}`),
    )

  test('default: the one that is named', async () => {
    expect(await created(await ask(await body()))).toMatchObject({ chain_id: chain.id })
  })

  test('behavior: it must be said which', async () => {
    for (const chainId of ['', 'null'])
      expect(await refusalOf(await ask(await body(), chainId))).toEqual({
        status: 400,
        code: 'invalid_request',
        error: 'Invalid json: chain_id: is missing, and this node serves several chains',
        params: { chains: [chain.id, 7] },
      })
  })

  test('behavior: another is not served', async () => {
    expect(await refusalOf(await ask(await body(), '5'))).toMatchObject({
      status: 501,
      code: 'chain_not_enabled',
      params: { chain: 5 },
    })
  })

  test('behavior: a chain that is not the one that is configured does not answer', async () => {
    expect(await refusalOf(await ask(await body(), '7'))).toMatchObject({
      status: 503,
      code: 'chain_unavailable',
      params: { chain: 7 },
    })
  })

  test('behavior: nor is it asked again for each item of a batch', async () => {
    const item = (await body()).replace(`"chain_id":${chain.id}`, '"chain_id":7')
    wrong.takeRequests()
    await both.create(item)
    const once = wrong.takeRequests().length
    const items = Array.from({ length: 40 }, () => item)
    const response = await both.create(`[${items},{"containers":["echo"],"data":{}}]`, {
      path: '/api/jobs/batch',
    })
    const told = (await response.json()) as { code?: string; id?: string }[]
    expect(told.map(({ code = 'taken' }) => code)).toEqual([...items.map(() => 'chain_unavailable'), 'taken'])
    expect(once).toBeGreaterThan(0)
    // The node looks at its chains by itself, too.
    expect(wrong.takeRequests().length).toBeLessThan(5 * once)
  })

  test('behavior: a node that nobody can pay takes nothing that pays', async () => {
    expect(await refusalOf(await ask(await body({ payment_amount: 1 })))).toEqual({
      status: 422,
      code: 'invalid_payment',
      error: 'Invalid payment',
      params: { reason: 'no payment address' },
    })
  })
})

describe('a node without chains', () => {
  test('behavior: takes none, whichever is named', async () => {
    await using none = await startTestEdge()
    const text = await body()
    for (const [sent, named] of [
      [text, chain.id],
      [text.replace(`,"chain_id":${chain.id}`, ''), null],
    ] as const)
      expect(await refusalOf(await none.create(sent))).toEqual({
        status: 501,
        code: 'chain_not_enabled',
        error: 'Chain not enabled',
        params: { chain: named },
      })
  })
})
