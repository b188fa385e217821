import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import { type Engine, openEngine } from '../../../../src/local/libsql/engine.ts'
import type { EngineValue } from '../../../../src/local/libsql/value.ts'
import type { Argument, Statement } from '../../../support/sql-proxy.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/**
 * What the database says it will do for delegated subscriptions, with 100,000 of them, and all that is done about any. Of one deployment: the
 * statements are the same for both.
 */

/** Arguments, tables with a row for each chain or policy, and what was looked up before. */
const walkable =
  /^SCAN (\S+ VIRTUAL TABLE|item|asked|value|mine|everyone|free|place|json_each|\d+ CONSTANT ROW|CONSTANT ROW|queued_routes|policy|chains|\(subquery|q )/
/** Seeks that leave a table of chains to be walked: a chain's rows are all rows. */
const wide =
  /^SEARCH (\S+ )?(delegations|undone|d|subscriptions|seen|old|known|mine|deliveries|theirs|sent|transactions|chain_blocks)\b.*\(chain=\?\)$/

/** Of what waits there are not so many: that is what this is walked for. */
const bounded = /USING COVERING INDEX delegations_waiting/

let folder: string
let world: Delegating
let engine: Engine
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'delegated-plans-'))
  const path = join(folder, 'queue.db')
  world = await startDelegating({ path })
  engine = openEngine(path)
})
afterEach(async () => {
  engine?.close()
  await world?.close()
  rmSync(folder, { recursive: true, force: true })
})

function toValue({ type, value, base64 }: Argument): EngineValue {
  if (type === 'blob') return Buffer.from(base64 ?? '', 'base64') as unknown as EngineValue
  if (type === 'integer') return BigInt(value as string)
  return (type === 'null' ? null : value) as EngineValue
}

function problems({ sql: text, args }: Statement): string[] {
  const connection = openEngine(join(folder, 'queue.db'))
  try {
    const statement = connection.prepare(`explain query plan ${text}`)
    statement.raw(true)
    const details = [...statement.iterate(args.map(toValue))].map(([, , , detail]) => String(detail))
    return details
      .filter(
        detail =>
          (detail.startsWith('SCAN ') && !walkable.test(detail)) ||
          (wide.test(detail) && !bounded.test(detail)) ||
          (detail.includes('linked_block>?') && !text.includes('linked_block > ?')) ||
          // Of an owner are also those that are created.
          detail.endsWith('delegations_nonce (chain=? AND owner=?)') ||
          detail.startsWith('USE TEMP B-TREE'),
      )
      .map(detail => `${detail}   in   ${text.replace(/\s+/g, ' ')}`)
  } finally {
    connection.close()
  }
}

/** Everything that may become of a few. @returns the statements that it took. */
async function useAll(): Promise<Statement[]> {
  const node = world.ticker()
  world.queue.proxy.takeStatements()
  await world.mine(4)
  const [own, theirs, foiled] = await Promise.all(
    [1, 2, 3].map(nonce => world.sign({ nonce, redundancy: 2 })),
  )
  await world.take(own)
  await world.take(own)
  await world.take(theirs)
  await world.take(foiled)
  await world.refusal(own, { data: '{"a":2}' })
  await world.create(theirs!)
  await world.create(await world.sign({ nonce: 3 }))
  await world.compute()
  await world.settle(node)
  const [known] = await Promise.all([world.sign({ nonce: 4, redundancy: 2 })])
  await world.create(known!)
  await world.look(node)
  await world.take(known)
  await world.look(node)
  await world.reorganise(3)
  await world.mine()
  await world.look(node)
  await world.settle(node)
  const { orm } = world.queue.db
  const first = sql`(select subscription from delegations where nonce = 1)`
  await orm.run(sql`update subscriptions set id = 77, state = 'active', due_at = 0 where id = ${first}`)
  await orm.run(sql`update delegations set subscription = 77 where nonce = 1`)
  await world.look(world.ticker())
  await pruneChain(world.queue.db, {
    chain: world.chain.id,
    head: 1_000,
    reorgDepth: 0,
    retentionMs: 0,
    waitMs: 1e12,
  })
  return world.queue.proxy
    .takeStatements()
    .filter(({ sql: text }) => text.includes('delegation') && !/= 77\b/.test(text))
}

/** Ones of one owner that are created and over, ones that wait, and ones that have ended uncreated: a third each. */
function fill(count: number): void {
  const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`
  const id = `iif(i % 3 = 0, 1000000 + i, -(1000000 + i))`
  engine.exec(`
    insert into delegations (place, id, chain, owner, nonce, subscription, linked_block, linked_hash, expiry, v, r, s, digest, data_signed, data,
      data_bytes, fingerprint, created_at)
    ${n} select 1000000 + i, 'old-' || i, ${world.chain.id}, '0x' || (i % 500), i, ${id}, iif(i % 3 = 0, 1, null), iif(i % 3 = 0, '0x', null), 1, 27, '0x',
      '0x', '0x', 0, '{}', 2, '', i from n;
    insert into subscriptions (chain, id, state, due_at, seen_block, seen_hash, created_at, kept_since, owner, active_at, period, frequency, redundancy,
      container_id, lazy, verifier, payment_amount, payment_token, wallet)
    ${n} select ${world.chain.id}, ${id}, iif(i % 3 = 1, 'active', 'ended'), iif(i % 3 = 1, 8e9, null), 0, '0x', i, iif(i % 3 = 1, null, 8e15), '0x' || (i % 500), 8e9,
      0, 1, 1, '0x', 0, '0x', '0', '0x', '0x' from n;
    insert into deliveries (chain, subscription, interval, job, state, created_at)
    ${n} select ${world.chain.id}, ${id}, 1, 'old-' || i, iif(i % 3 = 0, 'final', 'dropped'), i from n where i % 3 <> 1;
    update delegation_shares set waits = 0, bytes = 0, over_since = 8000000000000000 + place where place between 1000001 and 1000000 + ${count} and (place - 1000000) % 3 <> 1`)
}

describe('plans', () => {
  const states = ['never analysed', 'analysed while empty', 'analysed'] as const
  test.for(states)('behavior: no walk and no sort with 100,000 delegations, %s', async state => {
    if (state === 'analysed while empty') engine.exec('analyze')
    const statements = await useAll()
    const unique = new Map(statements.map(statement => [statement.sql, statement]))
    expect([...unique.keys()].filter(text => text.includes('delegations')).length).toBeGreaterThan(20)
    fill(100_000)
    if (state === 'analysed') engine.exec('analyze')
    const found: string[] = []
    for (const statement of unique.values()) found.push(...problems(statement))
    expect(found).toEqual([])
  })
})
