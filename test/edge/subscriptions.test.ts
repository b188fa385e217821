import { sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, startTestEdge, type TestEdge } from '../support/edge.ts'

const chain = 31_337
const registry = `0x${'11'.repeat(20)}`
const owner = `0x${'22'.repeat(20)}`
const verifier = `0x${'33'.repeat(20)}`
/** Nothing listens there: what is known is in the database. */
const rpcUrl = 'http://127.0.0.1:9'

let edge: TestEdge
beforeAll(async () => {
  edge = await startTestEdge({
    vars: {
      CHAINS: JSON.stringify([{ id: chain, registry }]),
      [`CHAIN_${chain}_RPC_URLS`]: rpcUrl,
      [`CHAIN_${chain}_PRIVATE_KEY`]: `0x${'77'.repeat(32)}`,
    },
  })
  await insert({ id: 1, state: 'ended', reason: 'completed', message: 'Subscription completed' })
  await insert({
    id: 2,
    state: 'refused',
    reason: 'unsupported_container',
    params: '{"containers_hash":"0x12"}',
  })
  for (const id of [3, 4, 5]) await insert({ id, state: 'active', dueAt: 1_000, route: 'a,b' })
  await edge.db.orm.run(
    sql`update subscriptions set payment_amount = '7', verifier = ${verifier} where id = 5`,
  )
  await edge.db.orm.run(sql`
    insert into jobs (id, owner, route, state, created_at, expires_at, source, destination)
    values ('0199d2f0-0000-7000-8000-000000000005', ${`chain:${chain}`}, 'a,b', 'success', 1, 2, 0, 0)`)
  await edge.db.orm.run(sql`
    insert into deliveries (chain, subscription, interval, job, state, tries, deadline, tx, created_at)
    values (${chain}, 5, 1, '0199d2f0-0000-7000-8000-000000000005', 'delivered', 0, 99, 't', 1),
      (${chain}, 5, 2, '0199d2f0-0000-7000-8000-000000000006', 'computing', 0, null, null, 2)`)
  await edge.db.orm.run(
    sql`update deliveries set stake_token = ${zeroAddress}, stake = '7' where interval = 1`,
  )
  await edge.db.orm.run(sql`
    insert into proofs (chain, subscription, interval, node, state, looked_block, expires_at, refunds, payout, settled_by, settled_hash, settled_block)
    values (${chain}, 5, 1, ${owner}, 'accepted', 13, 77, 1, '6', ${verifier}, '0xdef', 14)`)
  await edge.db.orm.run(sql`
    insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, created_at, mined_hash, mined_block, status, gas_used,
      gas_price, data)
    values ('t', ${chain}, ${owner}, 4, 'mined', 'deliver', ${owner}, 100, 1, '0xabc', 12, 1, 50, '3', '0x')`)
})
afterAll(async () => await edge?.[Symbol.asyncDispose]())

async function insert(row: {
  id: number
  state: string
  dueAt?: number
  reason?: string
  message?: string
  params?: string
  route?: string
}): Promise<void> {
  await edge.db.orm.run(sql`
    insert into subscriptions (chain, id, state, due_at, reason, message, params, seen_block, seen_hash, created_at, owner, active_at, period,
      frequency, redundancy, container_id, route, lazy, verifier, payment_amount, payment_token, wallet)
    values (${chain}, ${row.id}, ${row.state}, ${row.dueAt ?? null}, ${row.reason ?? null}, ${row.message ?? null}, ${row.params ?? null}, 1,
      '0x01', 1, ${owner}, 1000, 60, 3, 1, '0x12', ${row.route ?? null}, 1, ${zeroAddress}, '0', ${zeroAddress}, ${zeroAddress})`)
}

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await edge.request(path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const ids = ({ body }: { body: Record<string, unknown> }) =>
  (body.subscriptions as { id: number }[]).map(({ id }) => id)

describe('GET /api/subscriptions', () => {
  test('default: newest first, of the only chain', async () => {
    const listed = await get('/api/subscriptions')
    expect(ids(listed)).toEqual([5, 4, 3, 2, 1])
    expect(listed.body.next).toBeNull()
    expect((listed.body.subscriptions as unknown[])[3]).toEqual({
      chain,
      id: 2,
      state: 'refused',
      reason: { code: 'unsupported_container', message: null, params: { containers_hash: '0x12' } },
      containers: null,
      container_id: '0x12',
      owner,
      active_at: 1000,
      period: 60,
      frequency: 3,
      redundancy: 1,
      lazy: true,
      verifier: null,
      payment: null,
      next_interval: 1,
      due_at: null,
      created_at: '1970-01-01T00:00:00.001Z',
    })
  })

  test('behavior: pages, until there is no next', async () => {
    const seen: number[] = []
    for (let path: string | null = '/api/subscriptions?limit=2'; path !== null; ) {
      const page = await get(path)
      seen.push(...ids(page))
      path = page.body.next === null ? null : `/api/subscriptions?limit=2&before=${page.body.next}`
    }
    expect(seen).toEqual([5, 4, 3, 2, 1])
  })

  test('param: state, chain', async () => {
    expect(ids(await get(`/api/subscriptions?chain=${chain}&state=active`))).toEqual([5, 4, 3])
    expect(ids(await get('/api/subscriptions?state=ended'))).toEqual([1])
  })

  test.each([
    ['?chain=1', 501, 'chain_not_enabled'],
    ['?chain=x', 400, 'invalid_request'],
    ['?state=lost', 400, 'invalid_request'],
    ['?limit=0', 400, 'invalid_request'],
    ['?limit=101', 400, 'invalid_request'],
    ['?before=-1', 400, 'invalid_request'],
  ])('error: %s', async (query, status, code) => {
    expect(await get(`/api/subscriptions${query}`)).toMatchObject({ status, body: { code } })
  })
})

describe('GET /api/subscriptions/:chain/:id', () => {
  test('default: with its deliveries, newest first', async () => {
    const { body } = await get(`/api/subscriptions/${chain}/5`)
    expect(body).toMatchObject({
      id: 5,
      containers: ['a', 'b'],
      verifier,
      payment: { amount: '7', token: zeroAddress, wallet: zeroAddress },
    })
    expect(body.deliveries).toEqual([
      {
        interval: 2,
        job: '0199d2f0-0000-7000-8000-000000000006',
        state: 'computing',
        reason: null,
        tries: 0,
        deadline: null,
        created_at: '1970-01-01T00:00:00.002Z',
        transaction: null,
        proof: null,
      },
      {
        interval: 1,
        job: '0199d2f0-0000-7000-8000-000000000005',
        state: 'delivered',
        reason: null,
        tries: 0,
        deadline: 99,
        created_at: '1970-01-01T00:00:00.001Z',
        transaction: {
          hash: '0xabc',
          nonce: 4,
          state: 'mined',
          kind: 'deliver',
          problem: null,
          block: 12,
          succeeded: true,
          gas_used: 50,
          cost: '150',
        },
        proof: {
          state: 'accepted',
          stake: '7',
          payout: '6',
          expires_at: 77,
          refunds: true,
          problem: null,
          settled: { by: verifier, hash: '0xdef', block: 14 },
        },
      },
    ])
  })

  test.each([
    [`/api/subscriptions/${chain}/77`, 404, 'not_found'],
    ['/api/subscriptions/1/5', 404, 'not_found'],
    [`/api/subscriptions/${chain}/abc`, 400, 'invalid_request'],
    [`/api/subscriptions/${chain}/99999999999`, 400, 'invalid_request'],
  ])('error: %s', async (path, status, code) => {
    expect(await get(path)).toMatchObject({ status, body: { code } })
  })
})

test('behavior: a job that a contract has asked for is anyone’s to read, and says how its answer fares', async () => {
  const { body } = await get('/api/jobs/0199d2f0-0000-7000-8000-000000000005')
  expect(body).toMatchObject({
    state: 'success',
    subscription: {
      chain,
      id: 5,
      delivery: { interval: 1, state: 'delivered', transaction: { hash: '0xabc' } },
    },
  })
})

test('behavior: nobody but the chain can cancel it', async () => {
  const response = await edge.request('/api/jobs/0199d2f0-0000-7000-8000-000000000005', { method: 'DELETE' })
  expect(response.status).toBe(404)
})

test('behavior: a chain that does not answer is shown with its problem', async () => {
  await edge.runSchedule()
  const told = async () => ((await get('/info')).body.chains as { problem: string }[])[0]?.problem
  // The schedule does not wait for what it has begun.
  await expect.poll(told, { timeout: 30_000 }).toMatch(/127\.0\.0\.1:9|endpoint/)
  const info = await get('/info')
  expect(info.body).toMatchObject({
    chain: { enabled: true, address: expect.stringMatching(/^0x[0-9a-f]{40}$/) },
    chains: [{ id: chain, registry, coordinator: null, head: null }],
  })
  expect(JSON.stringify(info.body)).not.toContain('77777777')
}, 60_000)

describe('proofs', () => {
  const huge = 2n ** 256n - 1n
  const token = `0x${'44'.repeat(20)}`
  const admin = { authorization: `Bearer ${adminToken}` }
  const list = async (query = '') => {
    const response = await edge.request(`/api/proofs${query}`, { headers: admin })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const keys = ({ body }: { body: Record<string, unknown> }) =>
    (body.proofs as { subscription: number; interval: number }[]).map(
      ({ subscription, interval }) => `${subscription}/${interval}`,
    )

  beforeAll(async () => {
    const insertProof = async (place: readonly [number, number], ...rest: (string | number | null)[]) =>
      await edge.db.orm.run(sql`
        insert into proofs (chain, subscription, interval, node, looked_block, node_wallet, stake_verifier, state, due_at, settled_block, stake_token,
          stake, problem) values (${chain}, ${place[0]}, ${place[1]}, ${owner}, 13, ${owner}, ${verifier}, ${sql.join(
            rest.map(value => sql`${value}`),
            sql`, `,
          )})`)
    await insertProof([5, 3], 'pending', 60, null, token, String(huge), null)
    await insertProof([5, 4], 'pending', 50, null, token, String(huge), 'It cannot be finalized')
    await insertProof([5, 5], 'pending', 60, null, zeroAddress, '9', null)
    await insertProof([4, 1], 'rejected', null, 20, token, '8', null)
    await insertProof([4, 2], 'finalized', null, 14, token, '8', null)
  })

  test('default: those that wait first, as they are looked at, and then the newest verdict', async () => {
    const page = await list()
    expect(keys(page)).toEqual(['5/4', '5/3', '5/5', '4/1', '5/1', '4/2'])
    expect(page.body).toMatchObject({ chain, next: null })
    const [first, , , , settled] = page.body.proofs as object[]
    expect(first).toEqual({
      subscription: 5,
      interval: 4,
      verifier,
      token,
      state: 'pending',
      stake: String(huge),
      payout: null,
      expires_at: null,
      refunds: false,
      problem: 'It cannot be finalized',
      settled: null,
      looks: 0,
      due_at: 50,
    })
    expect(settled).toMatchObject({
      state: 'accepted',
      payout: '6',
      expires_at: 77,
      refunds: true,
      settled: { by: verifier, hash: '0xdef', block: 14 },
      due_at: null,
    })
  })

  test.each<[string, string[]]>([
    ['', ['5/4', '5/3', '5/5', '4/1', '5/1', '4/2']],
    ['&state=pending', ['5/4', '5/3', '5/5']],
    ['&state=rejected', ['4/1']],
    ['&state=settled', []],
  ])('behavior: page by page %s', async (query, expected) => {
    for (const limit of [1, 2, 3]) {
      const found: string[] = []
      for (let next: string | null = '', pages = 0; next !== null && pages < 10; pages++) {
        const after: string = next === '' ? '' : `&after=${encodeURIComponent(next)}`
        const page = await list(`?limit=${limit}${query}${after}`)
        found.push(...keys(page))
        next = page.body.next as string | null
      }
      expect(found).toEqual(expected)
    }
  })

  test('behavior: what is at stake is told by the node, by token', async () => {
    const { body } = await get('/info')
    expect(body.chains).toMatchObject([
      {
        id: chain,
        proofs: {
          pending: 3,
          at_stake: [
            { token: zeroAddress, amount: '9' },
            { token, amount: String(2n * huge) },
          ],
        },
      },
    ])
  })

  test.each([
    ['?chain=1', 501, 'chain_not_enabled'],
    ['?state=lost', 400, 'invalid_request'],
    ['?after=x', 400, 'invalid_request'],
    ['?after=["other",1,2,3]', 400, 'invalid_request'],
    ['?after=["pending",1e999,1,2]', 400, 'invalid_request'],
    ['?state=accepted&after=["pending",1,2,3]', 400, 'invalid_request'],
    ['?state=pending&after=["settled",1,2,3]', 400, 'invalid_request'],
    ['?limit=1001', 400, 'invalid_request'],
  ])('error: %s', async (query, status, code) => {
    expect(await list(query)).toMatchObject({ status, body: { code } })
  })

  test('error: for its operator alone', async () => {
    expect(await get('/api/proofs')).toMatchObject({ status: 401, body: { code: 'unauthorized' } })
  })
})
