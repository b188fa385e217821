import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Subscription } from '../../../src/edge/chain/chain.ts'
import { judge } from '../../../src/edge/chain/judge.ts'
import { pruneChain } from '../../../src/edge/chain/prune.ts'
import { rewindSubscriptions } from '../../../src/edge/chain/rewind-subscriptions.ts'
import { schedule } from '../../../src/edge/chain/schedule.ts'
import { sync } from '../../../src/edge/chain/sync.ts'
import { type Engine, openEngine } from '../../../src/local/libsql/engine.ts'
import type { EngineValue } from '../../../src/local/libsql/value.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'
import { type Queue, startQueue } from '../../support/queue.ts'
import { policyOf } from '../../support/runner.ts'
import type { Argument, Statement } from '../../support/sql-proxy.ts'
import { blockAt, chainId, chainOf, createNode, type TestNode } from './node.ts'
import { subscriptionOf } from './subscription.ts'

/** What the database says it will do for the statements of pick-up and schedule, as `plans.test.ts` asks it for those of the queue. */

const retentionMs = 1_000
/** Arguments, and tables with a row for each chain, route or policy. */
const walkable =
  /^SCAN (\S+ VIRTUAL TABLE|item |asked |\d+ CONSTANT ROW|CONSTANT ROW|queued_routes|policy|\(subquery|q )/
/** Seeks that leave a table of chains to be walked: a chain's rows are all rows. */
const wide = /^SEARCH (\S+ )?(subscriptions|seen|old|deliveries|chain_blocks)\b.*\(chain=\?\)$/

let folder: string
let queue: Queue
let engine: Engine
let node: TestNode

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'chain-plans-'))
  const path = join(folder, 'queue.db')
  queue = await startQueue({ path })
  engine = openEngine(path)
  node = await createNode(queue)
})
afterAll(async () => {
  engine.close()
  await queue.close()
  rmSync(folder, { recursive: true, force: true })
})

function toValue({ type, value, base64 }: Argument): EngineValue {
  if (type === 'blob') return Buffer.from(base64 ?? '', 'base64') as unknown as EngineValue
  if (type === 'integer') return BigInt(value as string)
  return (type === 'null' ? null : value) as EngineValue
}

/** What is wrong with a plan: a walk through a table that grows, or a sort of more than what was looked up. */
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
          wide.test(detail) ||
          detail.startsWith('USE TEMP B-TREE'),
      )
      .map(detail => `${detail}   in   ${text.replace(/\s+/g, ' ')}`)
  } finally {
    connection.close()
  }
}

/** Everything that may become of a few subscriptions. @returns the statements that it took. */
async function useAll(): Promise<Statement[]> {
  await node.clear()
  const terms: Partial<Subscription>[] = [
    {},
    { activeAt: 900, period: 100, frequency: 3 },
    { containerId: containerIdOf('c') },
    { frequency: 0 },
    {},
    {},
  ]
  const first = 1_000_001
  await queue.db.orm.run(sql`update chains set next_id = ${first}`)
  const subscriptions = terms.map((rest, index) => subscriptionOf({ id: first + index, ...rest }))
  const long = `0x${'00'.repeat(40_000)}` as const
  queue.proxy.takeStatements()
  const tick = async (time: number, known: readonly Subscription[], fork = 0) => {
    const step = node.step(blockAt(time, { fork }))
    const chain = chainOf(known, time, { [first + 4]: { input: null }, [first + 5]: { input: long } })
    const { judgedEpoch, ...cursor } = await node.cursor()
    await sync(step, { cursor, ...chain, routes: node.routes })
    await judge(step, { judgedEpoch, routes: node.routes })
    await schedule(step, { ...chain, routes: node.routes })
  }
  await tick(1_000, subscriptions)
  await node.offer(policyOf('a'), policyOf('c'))
  queue.clock.ms += 6_000
  await tick(1_100, subscriptions)
  await rewindSubscriptions(node.step(blockAt(1_000)), { from: 900 })
  const others = subscriptions
    .slice(0, 4)
    .map(subscription => ({ ...subscription, redundancy: subscription.redundancy + 1 }))
  await tick(1_101, others, 1)
  queue.clock.ms += retentionMs
  await pruneChain(queue.db, { chain: chainId, head: 2_000, reorgDepth: 1, retentionMs, waitMs: 1e12 })
  // The policy's own, and what only the test asks, are others'.
  return queue.proxy
    .takeStatements()
    .filter(({ sql: text }) => /subscriptions|deliveries|chain/.test(text) && !/"nextId"/.test(text))
}

/** Ended ones, too young to be pruned, each with an answer that is older. */
function fill(count: number): void {
  engine.exec(`
    insert into subscriptions (chain, id, state, seen_block, seen_hash, created_at, kept_since, owner, active_at, period, frequency, redundancy,
      container_id, lazy, verifier, payment_amount, payment_token, wallet)
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})
    select ${chainId}, i, 'ended', i % 900, '0x', 8e15, 8e15 + i, '0xaa', 0, 0, 1, 1, '0x', 0, '0x', '0', '0x', '0x' from n;
    insert into deliveries (chain, subscription, interval, job, state, created_at)
    select ${chainId}, id, 1, 'job-' || id, 'final', id from subscriptions where id <= ${count}`)
}

describe('plans', () => {
  const states: [string, () => void][] = [
    ['an empty database', () => {}],
    ['an empty database, analysed', () => engine.exec('analyze')],
    ['100,000 ended subscriptions, analysed while empty', () => {}],
    ['100,000 ended subscriptions, analysed', () => {}],
    ['100,000 ended subscriptions, never analysed', () => {}],
  ]
  test.for(states)(
    'behavior: no walk and no sort over subscriptions or deliveries with %s',
    async ([name, prepare]) => {
      prepare()
      // Once through, so that all statements are there; then their plans, with what is in the tables by then.
      const statements = await useAll()
      expect(new Set(statements.map(({ sql: text }) => text)).size).toBeGreaterThan(15)
      if (name.includes('100,000')) fill(100_000)
      if (name.endsWith(', analysed')) engine.exec('analyze')
      if (name.endsWith('never analysed')) engine.exec('drop table if exists sqlite_stat1')
      expect([...new Set(statements.flatMap(problems))]).toEqual([])
    },
  )

  test('behavior: a walk would be seen', () => {
    const seen = (text: string) => problems({ sql: text, args: [] })
    expect(seen('select id from subscriptions where chain = 1')).not.toEqual([])
    expect(seen(`select id from subscriptions where state = 'active'`)).not.toEqual([])
    expect(seen('select count(*) from deliveries')).not.toEqual([])
    expect(seen('select id from subscriptions where chain = 1 and id > 5 order by owner')).not.toEqual([])
  })
})
