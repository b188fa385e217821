import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Address, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import { type Engine, openEngine } from '../../../../src/local/libsql/engine.ts'
import type { EngineValue } from '../../../../src/local/libsql/value.ts'
import { nodeAddress } from '../../../support/chain.ts'
import type { Argument, Statement } from '../../../support/sql-proxy.ts'
import { type Proving, price, startProving, week } from './proving.ts'

/** What the database says it will do for stakes and proofs, with 100,000 of them that are over. */

/** Arguments, tables with a row for each chain or policy, and what was looked up before. */
const walkable =
  /^SCAN (\S+ VIRTUAL TABLE|item|asked|value|mine|free|json_each|\d+ CONSTANT ROW|CONSTANT ROW|queued_routes|policy|chains|\(subquery|q )/
/** Seeks that leave a table of chains to be walked: a chain's rows are all rows. */
const wide =
  /^SEARCH (\S+ )?(proofs|p|deliveries|d|transactions|t|other|subscriptions|s)\b.*(autoindex\S*|deliveries_over|transactions_over) \(chain=\?\)$/
/** What waits, or is under way, is all that these have. */
const bounded = /INDEX (proofs_due|deliveries_staked|transactions_open|subscriptions_due)\b/
/** What waits for a verdict is added up already. */
const summed = /INDEX proofs_staked\b/

let folder: string
let world: Proving
let engine: Engine
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proof-plans-'))
  const path = join(folder, 'queue.db')
  world = await startProving({ path, firstDeployment: true })
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
          summed.test(detail) ||
          detail.startsWith('USE TEMP B-TREE'),
      )
      .map(detail => `${detail}   in   ${text.replace(/\s+/g, ' ')}`)
  } finally {
    connection.close()
  }
}

/** Everything that may become of a few. @returns the statements that it took. */
async function useAll(): Promise<Statement[]> {
  world.queue.proxy.takeStatements()
  await world.prove()
  await world.chain.anvil.setBalance({ address: world.nodeWallet, value: 0n })
  await world.look(world.node)
  await world.chain.anvil.setBalance({ address: world.nodeWallet, value: 10n * price })
  const first = await world.deliver()
  await world.deliver()
  await world.call(world.verifier, 'finalize', first, 1, nodeAddress, true)
  await world.warp(3_600)
  await world.mine(2)
  await world.look(world.node)
  await world.reorganise(4)
  await world.look(world.node, 2)
  const verifier = world.verifier.address.toLowerCase() as Address
  const limited = world.ticker({
    paymentAddress: world.nodeWallet,
    guard: { ...openGuard, verifiers: new Map([[verifier, new Map([[zeroAddress, 3n * price]])]]) },
  })
  await world.prove()
  await world.look(limited)
  await world.chain.warp(60)
  await world.look(limited)
  await world.compute()
  await world.look(limited)
  await world.warp(week)
  await world.later(2)
  await world.warp(60)
  await world.warp(60)
  await pruneChain(world.queue.db, {
    chain: world.chain.id,
    head: 1_000,
    reorgDepth: 0,
    retentionMs: 0,
    waitMs: 1e12,
  })
  return world.queue.proxy
    .takeStatements()
    .filter(
      ({ sql: text }) =>
        /proofs|stake|'approve'|'finalize'/.test(text) && !text.includes('order by subscription'),
    )
}

function fill(count: number): void {
  const { id } = world.chain
  const n = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`
  engine.exec(`
    insert into proofs (chain, subscription, interval, node, state, looked_block, settled_block, stake_token, stake, stake_verifier)
    ${n} select ${id}, 1000000 + i, 1, '${nodeAddress}', 'accepted', i, i, '${zeroAddress}', '7', '0xbb' from n;
    insert into subscriptions (chain, id, state, seen_block, seen_hash, created_at, kept_since, owner, active_at, period, frequency, redundancy,
      container_id, lazy, verifier, payment_amount, payment_token, wallet)
    ${n} select ${id}, 1000000 + i, 'ended', 0, '0x', i, 8e15, '0xaa', 0, 0, 1, 1, '0x', 0, '0xbb', '7', '${zeroAddress}', '0x' from n;
    insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, created_at, mined_block, mined_block_hash, data)
    ${n} select 'tx-' || i, ${id}, '0xother', i, 'final', 'deliver', '0x', 1, i, i, '0x', '0x' from n;
    insert into deliveries (chain, subscription, interval, job, state, stake_token, stake, tx, created_at)
    ${n} select ${id}, 1000000 + i, 1, 'old-' || i, 'final', '${zeroAddress}', '7', 'tx-' || i, i from n`)
}

describe('plans', () => {
  const states = ['never analysed', 'analysed while empty', 'analysed'] as const
  test.for(states)('behavior: no walk and no sort with 100,000 proofs, %s', async state => {
    if (state === 'analysed while empty') engine.exec('analyze')
    const statements = await useAll()
    const unique = new Map(statements.map(statement => [statement.sql, statement]))
    expect(unique.size).toBeGreaterThan(12)
    fill(100_000)
    if (state === 'analysed') engine.exec('analyze')
    const found: string[] = []
    for (const statement of unique.values()) found.push(...problems(statement))
    expect(found).toEqual([])
  })

  test('behavior: a walk would be seen', () => {
    const seen = (text: string) => problems({ sql: text, args: [] })
    expect(seen(`select node from proofs where state = 'accepted'`)).not.toEqual([])
    expect(seen('select node from proofs where chain = 1')).not.toEqual([])
    const pending = `stake_token is not null and state = 'pending'`
    expect(seen(`select count(*) from proofs where chain = 1 and ${pending}`)).not.toEqual([])
    expect(seen('select node from proofs where chain = 1 and subscription > 5 order by node')).not.toEqual([])
  })
})
