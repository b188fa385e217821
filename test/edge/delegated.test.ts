import { sql } from 'drizzle-orm'
import { getAbiItem, toFunctionSelector } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { containersHash } from '../../src/client/containers-hash.ts'
import { toDelegatedText } from '../../src/client/delegated.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { limits } from '../../src/protocol/limits.ts'
import { nodeKey } from '../support/chain.ts'
import { stranger } from '../support/delegators.ts'
import { refusalOf } from '../support/edge.ts'
import { success } from '../support/runner.ts'
import { created, type DelegatedDoor, startDelegatedDoor, uuid } from './delegated.ts'

let door: DelegatedDoor
beforeAll(async () => {
  door = await startDelegatedDoor()
}, 120_000)
afterAll(async () => await door?.close())
beforeEach(async () => await door.clear())

const creation = toFunctionSelector(
  getAbiItem({ abi: eip712CoordinatorAbi, name: 'createSubscriptionDelegatee' }),
)
/** The node asks what comes of creating one. */
const asksToCreate = (calls: readonly object[]) => JSON.stringify(calls).includes(creation)

describe('taking on', () => {
  test('default: verified, begun and answered with where to ask for it', async () => {
    const text = await door.body()
    const response = await door.send(text)
    expect(response.headers.get('idempotent-replayed')).toBeNull()
    const answer = await created(response)
    expect(answer).toEqual({
      id: expect.stringMatching(uuid),
      status_url: `${door.edge.url}/api/subscriptions/${answer.id}`,
      job_id: expect.stringMatching(uuid),
      chain_id: door.chain.id,
      subscription_id: null,
      interval: 1,
    })
    const [job] = await door.runner.claim()
    expect(job).toMatchObject({ id: answer.job_id, containers: ['echo'] })
  })

  test('default: the same again is answered the same, at every door, and computed once', async () => {
    const text = await door.body()
    const answer = await door.take(text)
    for (const path of ['/api/subscriptions', '/api/jobs']) {
      const again = await door.send(text, path)
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(await created(again)).toEqual(answer)
    }
    const batch = await door.send(`[${text},${text}]`, '/api/jobs/batch')
    expect(await batch.json()).toEqual([answer, answer])
    expect(await door.runner.claim()).toHaveLength(1)
  })

  test('behavior: at once and often: one', async () => {
    const text = await door.body()
    const taken = await Promise.all(Array.from({ length: 6 }, () => door.take(text)))
    expect(new Set(taken.map(({ id }) => id)).size).toBe(1)
    expect(await door.runner.claim()).toHaveLength(1)
  })

  test('behavior: other data under the same signature is a conflict, and changes nothing', async () => {
    const signed = await door.delegator.sign()
    const { nonce } = signed.signature
    await door.take(toDelegatedText(signed, { dataJson: '{"a":1}' }))
    const other = await door.send(toDelegatedText(signed, { dataJson: '{"a": 1}' }))
    expect(await refusalOf(other)).toEqual({
      status: 409,
      code: 'data_conflict',
      error: 'It was taken on with other data',
      params: { owner: door.delegator.consumer.toLowerCase(), nonce },
    })
    const [row] = await door.edge.db.orm.all<{ data: string }>('select data from delegations')
    expect(row).toEqual({ data: '{"a":1}' })
  })

  test('behavior: another subscription under the same nonce is a conflict', async () => {
    await door.take(await door.body({ nonce: 900 }))
    expect(await refusalOf(await door.send(await door.body({ nonce: 900, redundancy: 2 })))).toEqual({
      status: 409,
      code: 'nonce_used',
      error: 'The nonce was taken for another subscription',
      params: { owner: door.delegator.consumer.toLowerCase(), nonce: 900 },
    })
  })

  test('behavior: a batch mixes jobs and subscriptions: each is judged by itself, in order', async () => {
    const job = '{"containers":["echo"],"data":{"job":1}}'
    const items = [
      job,
      await door.body(),
      '{"containers":["nobody"],"data":{}}',
      await door.body({ containers: containersHash(['nobody']) }),
      job,
      await door.body({ account: stranger }),
      await door.body(),
      '7',
    ]
    const response = await door.send(`[${items.join(',')}]`, '/api/jobs/batch')
    expect(response.status).toBe(200)
    const told = (await response.json()) as Record<string, unknown>[]
    expect(told).toMatchObject([
      { id: expect.stringMatching(uuid) },
      { chain_id: door.chain.id, interval: 1 },
      { code: 'unsupported_container' },
      { code: 'unsupported_containers' },
      { id: expect.stringMatching(uuid) },
      { code: 'signer_mismatch' },
      { chain_id: door.chain.id, interval: 1 },
      { code: 'invalid_request' },
    ])
    expect(Object.keys(told[0]!)).toEqual(['id'])
    expect((await door.runner.claim()).map(({ id }) => id).toSorted()).toEqual(
      [told[0]!.id, told[1]!.job_id, told[4]!.id, told[6]!.job_id].toSorted(),
    )
  })

  test('behavior: what begins later has no job yet', async () => {
    const activeAt = Math.floor(Date.now() / 1000) + 86_400
    expect(await door.take(await door.body({ active_at: activeAt, period: 60, frequency: 2 }))).toMatchObject(
      {
        job_id: null,
        subscription_id: null,
        interval: 0,
      },
    )
    expect(await door.runner.claim()).toEqual([])
  })

  test('behavior: chain_id may be left out where there is one chain', async () => {
    const text = (await door.body()).replace(`,"chain_id":${door.chain.id}`, '')
    expect(text).not.toContain('chain_id')
    expect(await door.take(text)).toMatchObject({ chain_id: door.chain.id })
  })

  test('behavior: a client that leaves meanwhile is served all the same', async () => {
    const leaving = new AbortController()
    door.proxy.setFault(({ calls }) => {
      if (asksToCreate(calls)) leaving.abort()
      return null
    })
    await expect(
      door.send(await door.body(), '/api/subscriptions', { signal: leaving.signal }),
    ).rejects.toHaveProperty('name', 'AbortError')
    await expect.poll(async () => await door.runner.claim(), { timeout: 10_000 }).toHaveLength(1)
    expect(await door.count('delegations')).toBe(1)
  })
})

describe('data', () => {
  const dataOf = (bytes: number) => `{"x":"${'x'.repeat(bytes - 8)}"}`

  test.for([limits.inlineBytes, limits.inlineBytes + 1, limits.delegatedDataBytes])(
    'default: of %i bytes reaches the runner byte for byte, and leaves no parts of the request',
    async bytes => {
      const data = dataOf(bytes)
      await door.take(await door.body({}, data))
      const [row] = await door.edge.db.orm.all<{ data: string; data_bytes: number }>(
        'select data, data_bytes from delegations',
      )
      expect(row?.data === data).toBe(true)
      expect(row?.data_bytes).toBe(bytes)
      const [job] = await door.runner.claim()
      const response = await door.runner.send(`/runner/jobs/${job!.id}/input?attempt=${job!.attempt}`)
      expect((job!.data ?? (await response.text())) === data).toBe(true)
      const [left] = await door.edge.db.orm.all<{ n: number }>(
        sql`select count(*) as n from parts where job <> ${job!.id}`,
      )
      expect(left?.n).toBe(0)
    },
  )

  test('behavior: above the limit it is refused with the limit, and nothing is kept of it', async () => {
    const response = await door.send(await door.body({}, dataOf(limits.delegatedDataBytes + 1)))
    expect(await refusalOf(response)).toEqual({
      status: 413,
      code: 'body_too_large',
      error: 'The data of a delegated subscription is too large',
      params: { limit: limits.delegatedDataBytes },
    })
    expect([await door.count('delegations'), await door.count('jobs'), await door.count('parts')]).toEqual([
      0, 0, 0,
    ])
  })

  test('behavior: a body above what any may have is refused', async () => {
    // Its length is not announced, or it would be refused unread.
    const sent = new Blob([await door.body({}, dataOf(limits.bodyBytes))]).stream()
    const init = { method: 'POST', body: sent, duplex: 'half' } as RequestInit
    expect(await refusalOf(await door.edge.request('/api/subscriptions', init))).toMatchObject({
      status: 413,
      code: 'body_too_large',
      params: { limit: limits.bodyBytes },
    })
    expect(await door.count('parts')).toBe(0)
  })

  test.for(['/api/subscriptions', '/api/jobs'])(
    'behavior: it must be there, and an object: %s',
    async path => {
      const text = await door.body()
      const without = text.replace(',"data":{"a":1}', '')
      expect(without).not.toContain('data')
      const problem = async (sent: string) => await refusalOf(await door.send(sent, path))
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
    await door.take(await door.body({}, data))
    const [row] = await door.edge.db.orm.all<{ data: string }>('select data from delegations')
    expect(row?.data === data).toBe(true)
  })
})

describe('a chain that does not answer', () => {
  test('default: nothing is taken on, and the client is told when to come again', async () => {
    const text = await door.body()
    const taken = await door.body()
    const answer = await door.take(taken)
    door.proxy.setFault(() => ({ kind: 'status', status: 500 }))
    const before = await door.count('delegations')
    // What is known is told without it.
    expect(await door.take(taken)).toEqual(answer)
    for (const path of ['/api/subscriptions', '/api/jobs']) {
      const response = await door.send(text, path)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(await refusalOf(response)).toEqual({
        status: 503,
        code: 'chain_unavailable',
        error: 'The chain does not answer',
        params: { chain: door.chain.id },
      })
    }
    expect(await door.count('delegations')).toBe(before)
    door.proxy.setFault(() => null)
    await expect.poll(async () => (await door.send(text)).status, { timeout: 30_000 }).toBe(200)
  }, 60_000)
})

describe('GET /api/subscriptions/:id', () => {
  test('default: what it is, before it is on the chain and after', async () => {
    const signed = await door.delegator.sign()
    const { nonce, expiry } = signed.signature
    const answer = await door.take(toDelegatedText(signed, { dataJson: '{"a":1}' }))
    const path = new URL(answer.status_url).pathname
    const { status, body: before } = await door.get(path)
    expect(status).toBe(200)
    expect(before).toMatchObject({
      id: answer.id,
      chain: door.chain.id,
      subscription_id: null,
      nonce,
      expiry,
      data_signed: false,
      owner: door.delegator.consumer.toLowerCase(),
      containers: ['echo'],
      deliveries: [{ interval: 1, job: answer.job_id, state: 'computing', transaction: null }],
    })
    // An answer that is not on the chain is nobody's to read.
    expect((await door.get(`/api/jobs/${answer.job_id}`)).status).toBe(404)
    expect((await door.get('/api/subscriptions')).body).toEqual({ subscriptions: [], next: null })

    await door.runner.report(
      (await door.runner.claim()).map(claimed => success(claimed, '{"output":"0x1234"}')),
    )
    await door.edge.runSchedule()
    const delivered = async () => (await door.get(path)).body
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
    expect((await door.get(`/api/jobs/${answer.job_id}`)).body).toMatchObject({
      subscription: { chain: door.chain.id, id, delivery: { state: 'delivered' } },
    })
    expect((await door.get(`/api/subscriptions/${door.chain.id}/${id}`)).body).toMatchObject({
      id,
      containers: ['echo'],
    })
    expect(await door.take(toDelegatedText(signed, { dataJson: '{"a":1}' }))).toEqual({
      ...answer,
      subscription_id: id,
    })
    const told = door.answers()
    for (const secret of [nodeKey, door.proxy.url, BigInt(signed.signature.r), BigInt(signed.signature.s)])
      expect(told).not.toContain(String(secret))
    for (const part of [signed.signature.r, signed.signature.s, nodeKey])
      expect(told).not.toContain(part.slice(2))
  }, 60_000)

  test('behavior: a job says that what it is for is not on the chain', async () => {
    const { job_id } = await door.take(await door.body())
    // As when a reorganisation has undone what created it.
    await door.edge.db.orm.run(`update deliveries set state = 'delivered'`)
    expect((await door.get(`/api/jobs/${job_id}`)).body).toMatchObject({
      id: job_id,
      subscription: { chain: door.chain.id, id: null, delivery: { interval: 1 } },
    })
  })

  test.for([
    ['0199d2f0-0000-7000-8000-000000000005', 404, 'not_found'],
    ['7', 400, 'invalid_request'],
    ['%00', 400, 'invalid_request'],
  ] as const)('behavior: of one that is not: %s', async ([id, status, code]) => {
    expect(await door.get(`/api/subscriptions/${id}`)).toMatchObject({ status, body: { code } })
  })
})
