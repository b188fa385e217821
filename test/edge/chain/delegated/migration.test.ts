import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openEngine } from '../../../../src/local/libsql/engine.ts'

/** What a database of an earlier release has of signed subscriptions is counted when it is migrated. */

const folder = join(import.meta.dirname, '../../../../drizzle')
const rooms = '0006_rooms.sql'

function statementsOf(file: string): string[] {
  return readFileSync(join(folder, file), 'utf8').split('--> statement-breakpoint')
}

/** Of one owner, with 10 bytes of data each: id, state, when it ended. */
const stored = [
  [-1, 'active', 'null'],
  [-2, 'refused', 'null'],
  [-3, 'ended', '9'],
  [-4, 'ended', '9'],
  [105, 'active', 'null'],
  [106, 'ended', '9'],
] as const

test('default: what may still be created, and the data that may be begun with', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'rooms-'))
  const engine = openEngine(join(scratch, 'queue.db'))
  try {
    const files = readdirSync(folder).filter(file => file.endsWith('.sql'))
    for (const file of files.toSorted().filter(file => file < rooms))
      for (const statement of statementsOf(file)) engine.exec(statement)
    for (const [index, [id, state, since]] of stored.entries())
      engine.exec(`
        insert into delegations (place, id, chain, owner, nonce, subscription, expiry, v, r, s, digest, data_signed, data_bytes, fingerprint,
          created_at, data) values (${index + 1}, 'id-${index}', 1, 'o', ${index}, ${id}, 1, 27, '', '', '', 0, 10, '', 5, '0123456789');
        insert into subscriptions (chain, id, state, seen_block, seen_hash, created_at, kept_since, owner, active_at, period, frequency,
          redundancy, container_id, lazy, verifier, payment_amount, payment_token, wallet)
        values (1, ${id}, '${state}', 0, '', 7, ${since}, 'o', 0, 0, 1, 1, '', 0, '', '0', '', '')`)
    engine.exec(`insert into deliveries (chain, subscription, interval, job, state, created_at)
      values (1, -3, 1, 'dropped', 'dropped', 1), (1, -4, 1, 'under way', 'computing', 1)`)
    for (const statement of statementsOf(rooms)) engine.exec(statement)
    const read = (text: string) => {
      const statement = engine.prepare(text)
      statement.raw(true)
      return [...statement.iterate([])].map(row => row.map(value => (value === null ? null : String(value))))
    }
    expect(read('select place, waits, bytes, over_since from delegation_shares order by place')).toEqual([
      ['1', '1', '10', null],
      ['2', '0', '0', null],
      ['3', '0', '0', '9'],
      ['4', '1', '10', '9'],
      ['5', '0', '10', null],
      ['6', '0', '0', '9'],
    ])
    expect(read('select owner, waiting, bytes from delegation_counts order by owner')).toEqual([
      ['*', '2', '30'],
      ['o', '2', '30'],
    ])
    expect(read('select kept_since from subscriptions where id = -2')).toEqual([['7']])
  } finally {
    engine.close()
    rmSync(scratch, { recursive: true, force: true })
  }
})
