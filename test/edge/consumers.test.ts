import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEdge, type TestEdge } from '../support/edge.ts'

const chain = 31_337
const hour = sql`cast(unixepoch() / 3600 as integer)`
const addresses = [1, 2, 3].map(place => `0x${`${place}`.repeat(40)}`) as [string, string, string]
const [first, second, third] = addresses

let edge: TestEdge
beforeAll(async () => {
  edge = await startTestEdge({
    vars: {
      CHAINS: JSON.stringify([
        { id: chain, registry: `0x${'11'.repeat(20)}`, limits: { reverted_per_day: 4 } },
      ]),
      [`CHAIN_${chain}_RPC_URLS`]: 'http://127.0.0.1:9',
      [`CHAIN_${chain}_PRIVATE_KEY`]: `0x${'77'.repeat(32)}`,
    },
  })
  for (const owner of ['*', ...addresses])
    await edge.db.orm.run(sql`
      insert into consumers (chain, owner, paid, unpaid, reverted, rejected, dropped, wasted_gas, wasted_gwei, wasted_wei, unpaid_gas, last_gas,
        first_seen, last_seen)
      values (${chain}, ${owner}, 1, 2, 7, 9, 4, 5, 12000000000, 34, 6, 8, 1000, 2000)`)
  for (const [age, reverted] of [
    [0, 3],
    [22, 1],
    [30, 3],
  ])
    await edge.db.orm.run(sql`
      insert into consumer_hours (chain, owner, hour, reverted, rejected, dropped, wasted_gas, unpaid_gas)
      values (${chain}, ${first}, ${hour} - ${age}, ${reverted}, 1, 1, 10, 100)`)
})
afterAll(async () => await edge?.[Symbol.asyncDispose]())

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await edge.request(path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const record = {
  chain,
  paid: 1,
  unpaid: 2,
  reverted: 7,
  rejected: 9,
  dropped: 4,
  wasted_gas: 5,
  wasted: '12000000000000000034',
  unpaid_gas: 6,
  last_gas: 8,
  first_seen: '1970-01-01T00:00:01.000Z',
  last_seen: '1970-01-01T00:00:02.000Z',
}

describe('GET /api/consumers', () => {
  test('default: by address, and not the sum of all', async () => {
    const { body } = await get('/api/consumers')
    expect(body).toEqual({
      consumers: addresses.map(owner => ({ ...record, owner })),
      next: null,
    })
  })

  test('behavior: pages, until there is no next', async () => {
    const one = await get('/api/consumers?limit=2')
    expect(one.body).toMatchObject({ consumers: [{ owner: first }, { owner: second }], next: second })
    const two = await get(`/api/consumers?limit=2&after=${one.body.next}`)
    expect(two.body).toMatchObject({ consumers: [{ owner: third }], next: null })
  })

  test.each([
    ['?chain=1', 501, 'chain_not_enabled'],
    ['?after=x', 400, 'invalid_request'],
    ['?limit=0', 400, 'invalid_request'],
    ['?limit=101', 400, 'invalid_request'],
  ])('error: %s', async (query, status, code) => {
    expect(await get(`/api/consumers${query}`)).toMatchObject({ status, body: { code } })
  })
})

describe('GET /api/consumers/:chain/:address', () => {
  test('default: with its day, and what bars it', async () => {
    const { body } = await get(`/api/consumers/${chain}/${first.toUpperCase().replace('0X', '0x')}`)
    expect(body).toEqual({
      ...record,
      owner: first,
      day: { reverted: 4, rejected: 2, dropped: 2, wasted_gas: 20, unpaid_gas: 200 },
      barred: { limit: 'reverted_per_day', used: 4, most: 4, until: expect.any(String) },
    })
    const [{ now } = { now: 0 }] = await edge.db.orm.all<{ now: number }>(sql`select ${hour} as now`)
    expect((body.barred as { until: string }).until).toBe(new Date((now + 2) * 3_600_000).toISOString())
  })

  test('behavior: nothing of late', async () => {
    expect((await get(`/api/consumers/${chain}/${second}`)).body).toMatchObject({
      day: { reverted: 0, rejected: 0, dropped: 0, wasted_gas: 0, unpaid_gas: 0 },
      barred: null,
    })
  })

  test.each([
    [`/${chain}/0x${'9'.repeat(40)}`, 404, 'not_found'],
    [`/1/${first}`, 404, 'not_found'],
    [`/${chain}/x`, 400, 'invalid_request'],
  ])('error: %s', async (path, status, code) => {
    expect(await get(`/api/consumers${path}`)).toMatchObject({ status, body: { code } })
  })
})
