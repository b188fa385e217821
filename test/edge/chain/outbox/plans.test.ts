import type { Client, InArgs } from '@libsql/client'
import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pruneLedger } from '../../../../src/edge/chain/ledger/write.ts'
import { rewindTransactions } from '../../../../src/edge/chain/outbox/rewind.ts'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import { readWork } from '../../../../src/edge/chain/tick/work.ts'
import { vanishDeliveries } from '../../../../src/edge/chain/vanish.ts'
import type { Db } from '../../../../src/edge/db/open.ts'
import { createModelChain } from './model-chain.ts'
import { chainId, createOutbox, look, type Outbox, otherSigner, signer } from './node.ts'

/** What the database says it will do for the outbox's statements: what is final costs nothing. */

type Statement = { sql: string; params: unknown[] }

/** Arguments, and what was looked up before. */
const walkable =
  /^SCAN (\S+ VIRTUAL TABLE|item |value |json_each |\d+ CONSTANT ROW|CONSTANT ROW|mine|free|\(subquery)/
/** Seeks that leave a table of chains to be walked: a chain's rows are all rows. */
const wide =
  /^SEARCH (\S+ )?(transactions|t|proofs|old|later|deliveries|d|given|subscriptions|s|chain_blocks)\b.*(autoindex\S*|transactions_nonce|transactions_over|deliveries_over) \(chain=\?( AND signer=\?)?\)$/

let outbox: Outbox
let client: Client

// A database of its own for each, as nothing is analysed yet.
beforeEach(async () => {
  outbox = await createOutbox()
  client = (outbox.db.orm as unknown as { $client: Client }).$client
})
afterEach(async () => await outbox.close())

/** Notes each statement, also those of a batch. */
function noting(db: Db, statements: Statement[]): Db {
  const { orm } = db
  const noted =
    (method: 'all' | 'run') =>
    (...args: Parameters<typeof orm.run>) => {
      const statement = orm[method](...args)
      const { sql: text, params } = statement.getQuery() as unknown as Statement
      statements.push({ sql: text, params })
      return statement
    }
  const wrapped = new Proxy(orm, {
    get: (target, key) => (key === 'all' || key === 'run' ? noted(key) : Reflect.get(target, key)),
  })
  return {
    orm: wrapped,
    get now() {
      return db.now
    },
  }
}

async function problems({ sql: text, params }: Statement): Promise<string[]> {
  const { rows } = await client.execute({ sql: `explain query plan ${text}`, args: params as InArgs })
  return rows
    .map(({ detail }) => String(detail))
    .filter(
      detail =>
        (detail.startsWith('SCAN ') && !walkable.test(detail)) ||
        wide.test(detail) ||
        detail.startsWith('USE TEMP B-TREE'),
    )
    .map(detail => `${detail}   in   ${text.replace(/\s+/g, ' ')}`)
}

/** Everything that may become of a few answers. @returns the statements that it took. */
async function useAll(): Promise<Statement[]> {
  const statements: Statement[] = []
  const chain = createModelChain()
  const db = noting(outbox.db, statements)
  const { rpc, coordinator } = chain
  const step = (options = {}) => outbox.step(chain.head(), { rpc, coordinator, db, ...options })
  const tick = async (options = {}) => {
    outbox.clock.ms += 60_000
    await look(step(options))
    await readWork(db, { chain: chainId, at: 0 })
    await pruneChain(db, { chain: chainId, head: 1_000, reorgDepth: 0, retentionMs: 0, waitMs: 1e12 })
    await pruneLedger(db, { chain: chainId, days: 1 })
  }
  const first = 1_000_001
  const vanish = async (id: number) =>
    void (await db.orm.batch(vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(select ${id})` })))
  for (const id of [0, 1, 2]) await outbox.answer({ subscription: first + id, deadline: id === 2 ? 0 : null })
  await tick({ config: { maxOutputBytes: 1 } })
  for (const id of [3, 4]) await outbox.answer({ subscription: first + id })
  await tick()
  await vanish(first + 3)
  await tick()
  await vanish(first + 4)
  await tick()
  chain.mine()
  await tick()
  await outbox.answer({ subscription: first + 5, deadline: chain.head().time + 20 })
  await tick()
  for (let block = 0; block < 2; block++) chain.mine({ withhold: true })
  await tick()
  await outbox.answer({ subscription: first + 6 })
  await tick()
  for (let block = 0; block < 4; block++) chain.mine({ withhold: true })
  await tick()
  chain.intrude(signer.address)
  await tick()
  chain.mine()
  await tick({ latest: { ...chain.head(), number: chain.head().number + 1 } })
  await rewindTransactions(step(), { from: 0 })
  await tick()
  await outbox.answer({ subscription: first + 7 })
  await tick()
  await tick({ signer: otherSigner })
  await tick()
  await tick({ signer: otherSigner })
  chain.mine({ withhold: true, seconds: 600 })
  await tick({ signer: otherSigner })
  for (let block = 0; block < 10; block++) chain.mine()
  await tick()
  // Replaced by one with fewer answers, and mined all the same; with one that had failed in a block that is undone.
  for (const id of [8, 9, 10]) await outbox.answer({ subscription: first + id })
  await tick()
  await vanish(first + 8)
  await outbox.db.orm.run(
    sql`update deliveries set state = 'computed', tx = null, not_before = 9e15 where subscription = ${first + 9}`,
  )
  chain.settings.refusesSends = true
  // Nothing is forgotten meanwhile.
  await look(step())
  chain.mine()
  await tick()
  expect(
    statements.filter(({ sql: text }) => text.includes(`iif(interval < 0, 'dropped', 'sending')`)),
  ).not.toEqual([])
  // Tables of a few rows would be walked, once they are analysed.
  chain.settings.refusesSends = false
  for (let block = 0; block < 10; block++) chain.mine()
  await tick()
  await outbox.db.orm.run(sql`delete from proofs`)
  await tick()
  return statements
}

/** Final ones: with an answer each, and its proof. */
async function fill(count: number): Promise<void> {
  const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`
  await client.executeMultiple(`
    insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, created_at, mined_block, mined_block_hash, data)
    ${n} select 'tx-' || i, ${chainId}, '0xother', i, 'final', 'deliver', '0x', 1, i, i, '0x', '0x' from n;
    insert into subscriptions (chain, id, state, seen_block, seen_hash, created_at, kept_since, owner, active_at, period, frequency, redundancy,
      container_id, lazy, verifier, payment_amount, payment_token, wallet)
    ${n} select ${chainId}, i, 'ended', i, '0x', i, i, '0xaa', 0, 0, 1, 1, '0x', 0, '0x', '0', '0x', '0x' from n;
    insert into deliveries (chain, subscription, interval, job, state, tx, created_at)
    ${n} select ${chainId}, i, 1, 'final-' || i, 'final', 'tx-' || i, i from n;
    insert into proofs (chain, subscription, interval, node, answer_tx, state, looked_block, settled_block)
    ${n} select ${chainId}, i, 1, '0xother', 'tx-' || i, 'accepted', i, i from n`)
}

async function analyseOneProof(): Promise<void> {
  await client.executeMultiple(`
    insert into proofs (chain, subscription, interval, node, answer_tx, state, looked_block)
    values (${chainId}, 0, 1, '0xother', 'tx-0', 'accepted', 0);
    analyze`)
}

async function analyseOneDelivery(): Promise<void> {
  await client.executeMultiple(`
    insert into deliveries (chain, subscription, interval, job, state, tx, created_at)
    values (${chainId}, 0, 1, 'only', 'final', 'tx-0', 0);
    analyze`)
}

describe('plans', () => {
  const states = [
    'never analysed',
    'analysed while empty',
    'analysed with one proof',
    'analysed with one delivery',
    'analysed',
  ] as const
  test.for(states)('behavior: no walk and no sort with 100,000 final transactions, %s', async state => {
    if (state === 'analysed while empty') await outbox.db.orm.run(sql`analyze`)
    if (state === 'analysed with one proof') await analyseOneProof()
    if (state === 'analysed with one delivery') await analyseOneDelivery()
    const statements = await useAll()
    expect(new Set(statements.map(({ sql: text }) => text)).size).toBeGreaterThan(25)
    await fill(100_000)
    if (state === 'analysed') await outbox.db.orm.run(sql`analyze`)
    const unique = new Map(statements.map(statement => [statement.sql, statement]))
    const found = await Promise.all([...unique.values()].map(problems))
    expect(found.flat()).toEqual([])
  })

  test('behavior: a walk would be seen', async () => {
    const seen = (text: string) => problems({ sql: text, params: [] })
    expect(await seen(`select id from transactions where state = 'mined'`)).not.toEqual([])
    expect(await seen('select count(*) from raws')).not.toEqual([])
    expect(await seen('select job from deliveries where chain = 1')).not.toEqual([])
  })
})
