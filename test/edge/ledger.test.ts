import { sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAdmin } from '../../src/client/admin.ts'
import { adminToken, startTestEdge, type TestEdge } from '../support/edge.ts'

const chain = 31_337
const registry = `0x${'11'.repeat(20)}`
const consumer = `0x${'aa'.repeat(20)}`
const other = `0x${'bb'.repeat(20)}`
const token = `0x${'cc'.repeat(20)}`
const hash = `0x${'0f'.repeat(32)}`
/** 2026-01-31 and the day after. */
const firstDay = 20_484
const huge = 2n ** 256n - 1n

let edge: TestEdge
beforeAll(async () => {
  edge = await startTestEdge({
    vars: {
      CHAINS: JSON.stringify([{ id: chain, registry }]),
      [`CHAIN_${chain}_RPC_URLS`]: 'http://127.0.0.1:9',
      [`CHAIN_${chain}_PRIVATE_KEY`]: `0x${'77'.repeat(32)}`,
    },
  })
  await insert({ tx: 'a', day: firstDay, consumer, token, payment: huge, gas: 5n })
  await insert({ tx: 'b', day: firstDay, consumer, token, payment: huge, gas: 6n })
  await insert({ tx: 'c', day: firstDay, consumer, token: zeroAddress, kind: 'failed', gas: 7n })
  await insert({ tx: 'd', day: firstDay + 1, consumer: other, token, payment: 3n, owed: huge, gas: 8n })
  await insert({ tx: 'e', day: firstDay + 1, consumer: '', token: zeroAddress, kind: 'expense', gas: 9n })
})
afterAll(async () => await edge?.[Symbol.asyncDispose]())

async function insert(row: {
  tx: string
  day: number
  consumer: string
  token: string
  kind?: string
  payment?: bigint
  owed?: bigint
  gas: bigint
}): Promise<void> {
  const subscription = row.consumer === '' ? null : 7
  await edge.db.orm.run(sql`
    insert into ledger (tx, seq, chain, hash, block, at, day, kind, subscription, interval, consumer, token, payment, slashed, owed,
      owing, protocol_fee, verifier_fee, gas_used, gas_cost)
    values (${row.tx}, 0, ${chain}, ${hash}, 3, ${row.day * 86_400 + 5}, ${row.day}, ${row.kind ?? 'answer'}, ${subscription},
      ${subscription}, ${row.consumer}, ${row.token}, ${String(row.payment ?? 0n)}, '0', ${String(row.owed ?? 0n)}, '2', '1', '0', 100, ${String(row.gas)})`)
}

const admin = { authorization: `Bearer ${adminToken}` }
const range = 'from=2026-01-31&to=2026-02-01'

async function get(query: string, headers: Record<string, string> = admin) {
  const response = await edge.request(`/api/ledger?${query}`, { headers })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

type Row = Record<string, unknown>
const rowsOf = ({ text }: { text: string }) => (JSON.parse(text) as { rows: Row[] }).rows

describe('GET /api/ledger', () => {
  test('default: sums of each day, consumer and token, exact', async () => {
    const answer = await get(range)
    expect(answer.status).toBe(200)
    expect(rowsOf(answer)).toMatchObject([
      { day: '2026-01-31', consumer, token: zeroAddress, answers: 0, failed: 1, gas_cost: '7' },
      {
        day: '2026-01-31',
        consumer,
        token,
        answers: 2,
        rejected: 0,
        failed: 0,
        payment: String(2n * huge),
        slashed: '0',
        owed: '0',
        owing: '4',
        protocol_fee: '2',
        verifier_fee: '0',
        gas_used: 200,
        gas_cost: '11',
      },
      { day: '2026-02-01', consumer: null, token: zeroAddress, answers: 0, gas_cost: '9' },
      {
        day: '2026-02-01',
        consumer: other,
        token,
        answers: 1,
        payment: '3',
        owed: String(huge),
        gas_cost: '8',
      },
    ])
  })

  test('behavior: more rows of one day, consumer and token than their digits fit into 53 bits', async () => {
    const rows = 10_000
    const gasCost = 272_999_999_999_999n
    await edge.db.orm.run(sql`
      insert into ledger (tx, seq, chain, hash, block, at, day, kind, subscription, interval, consumer, token, payment, slashed, owed,
        owing, protocol_fee, verifier_fee, gas_used, gas_cost)
      with recursive n (i) as (select 1 union all select i + 1 from n where i < ${rows})
      select 'many ' || i, 0, ${chain}, ${hash}, 3, 0, ${firstDay + 31}, 'answer', 7, i, ${consumer}, ${token}, ${String(huge)}, '0', '0', '0', '2',
        '0', 100, ${String(gasCost)} from n`)
    const [row, ...others] = rowsOf(await get('from=2026-03-03&to=2026-03-03'))
    expect(others).toEqual([])
    expect(row).toMatchObject({
      answers: rows,
      payment: String(BigInt(rows) * huge),
      gas_cost: String(BigInt(rows) * gasCost),
    })
  })

  test('behavior: every entry, of a consumer or in a token', async () => {
    expect(rowsOf(await get(`by=entry&${range}`))).toHaveLength(5)
    const [entry, ...rest] = rowsOf(
      await get(`by=entry&${range}&consumer=${other.toUpperCase().replace('0X', '0x')}`),
    )
    expect(rest).toEqual([])
    expect(entry).toMatchObject({
      hash,
      block: 3,
      kind: 'answer',
      subscription: 7,
      interval: 7,
      payment: '3',
      owed: String(huge),
      owing: '2',
    })
    expect(rowsOf(await get(`by=entry&${range}&token=${zeroAddress}`))).toHaveLength(2)
  })

  test.for(['day', 'entry'])('behavior: page by page, by %s', async by => {
    const whole = rowsOf(await get(`by=${by}&${range}`))
    const paged: Row[] = []
    for (let next: string | null = null, pages = 0; pages < 10; pages++) {
      const after: string = next === null ? '' : `&after=${encodeURIComponent(next)}`
      const page = JSON.parse((await get(`by=${by}&${range}&limit=1${after}`)).text)
      paged.push(...page.rows)
      next = page.next
      if (next === null) break
    }
    expect(paged).toEqual(whole)
  })

  test('behavior: as CSV, with the next page in a header', async () => {
    const answer = await get(`${range}&limit=2`, { ...admin, accept: 'text/csv' })
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    const lines = answer.text.split('\r\n')
    expect(lines[0]).toBe(
      'day,consumer,token,answers,rejected,failed,payment,slashed,protocol_fee,verifier_fee,gas_used,gas_cost,owed,owing',
    )
    expect(lines[2]).toBe(`2026-01-31,${consumer},${token},2,0,0,${2n * huge},0,2,0,200,11,0,4`)
    expect(lines).toHaveLength(4)
    const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1] ?? ''
    const rest = await edge.request(next.replace(new URL(next).origin, ''), {
      headers: { ...admin, accept: 'text/csv' },
    })
    expect((await rest.text()).split('\r\n').slice(1, -1)).toEqual([
      `2026-02-01,,${zeroAddress},0,0,0,0,0,1,0,100,9,0,2`,
      `2026-02-01,${other},${token},1,0,0,3,0,1,0,100,8,${huge},2`,
    ])
    expect((await get(`${range}&format=csv&by=entry`)).text.split('\r\n')).toHaveLength(7)
  })

  test('behavior: the client of the operator reads it page by page', async () => {
    const client = createAdmin({ url: edge.url, token: adminToken })
    const days = []
    for await (const day of client.ledger({ from: '2026-01-31', to: '2026-02-01', limit: 1 })) days.push(day)
    expect(days).toEqual(rowsOf(await get(range)))
    const entries = []
    for await (const entry of client.ledgerEntries({ from: '2026-01-31', to: '2026-02-01' }))
      entries.push(entry)
    expect(entries).toHaveLength(5)
  })

  test('behavior: nothing of the last 31 days is an empty page', async () => {
    expect(JSON.parse((await get('')).text)).toEqual({ chain, rows: [], next: null })
  })

  test.for([
    ['from=2026-02-30', 'from: must be a day, such as 2026-01-31'],
    ['from=2026-02-02&to=2026-02-01', 'from: must not be after to, 2026-02-01'],
    ['from=2024-01-01&to=2026-02-01', 'from: must be less than 366 days before to'],
    ['by=hour', 'by: must be "day" or "entry"'],
    ['format=xml', 'format: must be "json" or "csv"'],
    ['consumer=0x12', 'consumer: must be an address'],
    ['after=1', 'after: must be the `next` of a page'],
    ['after=[1e999,"",""]', 'after: must be the `next` of a page'],
    ['limit=1001', 'limit'],
    ['limit=0', 'limit'],
  ])('behavior: %s is refused', async ([query, why]) => {
    const answer = await get(query ?? '')
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'invalid_request' })
    expect(JSON.parse(answer.text).error).toContain(why)
  })

  test('behavior: another chain is not known', async () => {
    expect((await get('chain=1')).status).toBe(501)
    expect(JSON.parse((await get('chain=1')).text)).toMatchObject({ code: 'chain_not_enabled' })
  })

  test('behavior: nobody but the operator', async () => {
    expect((await get(range, {})).status).toBe(401)
    expect((await get(range, { authorization: 'Bearer nobody-nobody-nobody' })).status).toBe(401)
  })
})
