import type { Client, InArgs } from '@libsql/client'
import { type SQL, sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readFreeGas } from '../../../../src/edge/chain/guard/free-gas.ts'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import {
  countDropped,
  countMined,
  countRejected,
  forgetCounted,
  settleMined,
  uncountDropped,
  uncountMined,
} from '../../../../src/edge/chain/guard/record.ts'
import { selectHours } from '../../../../src/edge/chain/guard/usage.ts'
import { readCovered } from '../../../../src/edge/chain/outbox/covered.ts'
import { listConsumers, readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import type { Db } from '../../../../src/edge/db/open.ts'
import { createModelChain } from '../outbox/model-chain.ts'
import { chainId as chain, createOutbox, type Outbox } from '../outbox/node.ts'

/** What the database says it will do to count, and to look at what is counted: consumers that are not asked about cost nothing. */

type Statement = { sql: string; params: unknown[] }

const counted =
  /^SCAN (consumers|consumer_hours|consumer_changes|hours|deliveries|given|transactions|t|d|s)\b/
const wide = /^SEARCH (consumers|consumer_hours|consumer_changes|hours|deliveries|given) .*\(chain=\?\)$/

let outbox: Outbox
let client: Client
beforeEach(async () => {
  outbox = await createOutbox()
  client = (outbox.db.orm as unknown as { $client: Client }).$client
})
afterEach(async () => await outbox.close())

async function problems({ sql: text, params }: Statement): Promise<string[]> {
  const { rows } = await client.execute({ sql: `explain query plan ${text}`, args: params as InArgs })
  return rows
    .map(({ detail }) => String(detail))
    .filter(detail => counted.test(detail) || wide.test(detail) || detail.startsWith('USE TEMP B-TREE'))
    .map(detail => `${detail}   in   ${text.replace(/\s+/g, ' ')}`)
}

/** The same database, whose statements are noted. */
function noting({ orm, now }: Db, statements: Statement[]): Db {
  const noted = (method: 'all' | 'run') => (query: SQL) => {
    const statement = orm[method](query)
    const { sql: text, params } = statement.getQuery() as unknown as Statement
    statements.push({ sql: text, params })
    return statement
  }
  const wrapped = new Proxy(orm, {
    get: (target, key) => (key === 'all' || key === 'run' ? noted(key) : Reflect.get(target, key)),
  })
  return { orm: wrapped, now }
}

async function useAll(): Promise<Statement[]> {
  const statements: Statement[] = []
  const db = noting(outbox.db, statements)
  const owner = '0xaa'
  const answer = { owner, isPaid: false, unpaidGas: 5, outcome: 'delivered' as const, gas: 5, cost: 5n }
  const { orm } = db
  await orm.batch([...countMined(db, { chain, tx: 't', block: 1, answers: [answer], guard: sql`true` })])
  const rejected = { source: 'proof 1 1 1', owner, gas: 5, cost: 5n }
  await orm.batch([...countRejected(db, { chain, block: 1, rejected, guard: sql`true` })])
  const dropped = [{ owner, subscription: 1, interval: 1 }]
  await orm.batch([...countDropped(db, { chain, block: 1, dropped })])
  await readConsumer(db, { config: { id: chain, guard: openGuard }, owner })
  await listConsumers(db, { chain, after: null, limit: 10 })
  await selectHours(db, { chain, owners: [owner] })
  await readFreeGas(db, chain)
  const model = createModelChain()
  await readCovered(outbox.step(model.head(), { ...model, db }), [{ id: 't', gas: 1 }])
  await orm.batch([...uncountMined(db, { chain, txs: sql`(select 't')` })])
  await orm.batch([...uncountDropped(db, { chain, from: 0 })])
  await orm.batch([settleMined(db, { chain, txs: sql`(select 't')` })])
  await orm.batch([...forgetCounted(db, { chain, horizon: 1 })])
  return statements
}

async function fill(count: number): Promise<void> {
  const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`
  await client.executeMultiple(`
    insert into consumers (chain, owner, first_seen, last_seen) ${n} select ${chain}, '0x' || i, i, i from n;
    insert into consumer_hours (chain, owner, hour) ${n} select ${chain}, '0x' || i, 500000 + i % 24 from n;
    insert into consumer_changes (chain, source, owner, block, hour) ${n} select ${chain}, 'tx-' || i, '0x' || i, i, 500000 from n`)
}

describe('plans', () => {
  test.for(['never analysed', 'analysed while empty', 'analysed'] as const)(
    'behavior: no walk and no sort with 20,000 consumers, %s',
    async state => {
      if (state === 'analysed while empty') await outbox.db.orm.run(sql`analyze`)
      const statements = await useAll()
      expect(statements.length).toBeGreaterThan(15)
      await fill(20_000)
      if (state === 'analysed') await outbox.db.orm.run(sql`analyze`)
      const found = await Promise.all(statements.map(problems))
      expect(found.flat()).toEqual([])
    },
  )

  test('behavior: a walk would be seen', async () => {
    const seen = (text: string) => problems({ sql: text, params: [] })
    expect(await seen('select owner from consumers where paid > 1')).not.toEqual([])
    expect(await seen('select hour from consumer_hours where chain = 1')).not.toEqual([])
    expect(await seen('select owner from consumer_changes order by block')).not.toEqual([])
  })
})
