import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openEngine } from '../../../../src/local/libsql/engine.ts'

/** What a database of an earlier release has at stake is known by its verifier when it is migrated. */

const folder = join(import.meta.dirname, '../../../../drizzle')
const files = readdirSync(folder).filter(file => file.endsWith('.sql'))
const isOurs = (file: string) => readFileSync(join(folder, file), 'utf8').includes('`stake_verifier`')

test('default: what is promised, and what waits for a verdict', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'stakes-'))
  const engine = openEngine(join(scratch, 'queue.db'))
  const apply = (names: readonly string[]) => {
    for (const file of names)
      for (const statement of readFileSync(join(folder, file), 'utf8').split('--> statement-breakpoint'))
        engine.exec(statement)
  }
  try {
    const first = files.toSorted().findIndex(isOurs)
    apply(files.toSorted().slice(0, first))
    engine.exec(`
      insert into subscriptions (chain, id, state, seen_block, seen_hash, created_at, owner, active_at, period, frequency, redundancy,
        container_id, lazy, verifier, payment_amount, payment_token, wallet)
      values (1, 7, 'active', 0, '', 7, 'o', 0, 0, 1, 1, '', 0, '0xjudge', '5', '0xtoken', '');
      insert into deliveries (chain, subscription, interval, job, state, created_at, stake_token, stake)
      values (1, 7, 1, 'a', 'computing', 1, '0xtoken', '5'), (1, 7, 2, 'b', 'delivered', 1, '0xtoken', '5'),
        (1, 7, 3, 'c', 'computing', 1, null, null), (1, 7, 4, 'd', 'final', 1, '0xtoken', '5');
      update deliveries set tx = 'tx-' || interval where interval in (2, 4);
      insert into ledger (tx, seq, chain, hash, block, at, day, kind, subscription, interval, consumer, token, payment, slashed, protocol_fee,
        verifier_fee, gas_used, gas_cost)
      values ('tx-5', 0, 1, '', 1, 1, 1, 'failed', 7, 6, '', '', '0', '0', '0', '0', 1, '1'),
        ('tx-6', 0, 1, '', 1, 1, 1, 'answer', 7, 6, '', '', '0', '0', '0', '0', 1, '1');
      insert into proofs (chain, subscription, interval, node, state, looked_block)
      values (1, 7, 2, '0xnode', 'pending', 1), (1, 7, 4, '0xnode', 'accepted', 1), (1, 7, 6, '0xnode', 'pending', 1)`)
    apply(files.toSorted().slice(first))
    const read = (text: string) => {
      const statement = engine.prepare(text)
      statement.raw(true)
      return [...statement.iterate([])].map(row => row.map(value => (value === null ? null : String(value))))
    }
    expect(read('select interval, stake_verifier from deliveries order by interval')).toEqual([
      ['1', '0xjudge'],
      ['2', null],
      ['3', null],
      ['4', null],
    ])
    // The last one's answer was given to another than it was computed for: it has no delivery of its own.
    expect(
      read('select interval, stake_token, stake, stake_verifier, answer_tx from proofs order by interval'),
    ).toEqual([
      ['2', '0xtoken', '5', '0xjudge', 'tx-2'],
      ['4', null, null, null, 'tx-4'],
      ['6', '0xtoken', '5', '0xjudge', 'tx-6'],
    ])
    expect(read('select token, verifier, wallet, proofs, amount0, amount6 from stake_sums')).toEqual([
      ['0xtoken', '0xjudge', '', '2', '10', '0'],
    ])
  } finally {
    engine.close()
    rmSync(scratch, { recursive: true, force: true })
  }
})
