import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type LedgerQuestion,
  readLedgerDays,
  readLedgerEntries,
} from '../../../../src/edge/chain/ledger/read.ts'
import { type Engine, openEngine } from '../../../../src/local/libsql/engine.ts'
import type { EngineValue } from '../../../../src/local/libsql/value.ts'
import { type Queue, startQueue } from '../../../support/queue.ts'
import type { Argument, Statement } from '../../../support/sql-proxy.ts'

/** What the database says it will do for a page of the books: no page walks through those before it. */

const chain = 31_337
const firstDay = 20_484
const days = 4
const consumers = 10
const perGroup = 20

let folder: string
let queue: Queue
let engine: Engine
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-plans-'))
  const path = join(folder, 'queue.db')
  queue = await startQueue({ path })
  engine = openEngine(path)
  engine.exec(`
    insert into ledger (tx, seq, chain, hash, block, at, day, kind, subscription, interval, consumer, token, payment, slashed, owed, owing,
      protocol_fee, verifier_fee, gas_used, gas_cost)
    with recursive n (i) as (select 0 union all select i + 1 from n where i < ${days * consumers * perGroup - 1})
    select 'tx ' || i, 0, ${chain}, '0x', 1, 0, ${firstDay} + i % ${days}, 'answer', 1, i, 'consumer ' || ((i / ${days}) % ${consumers}), 'token', '1', '0',
      '0', '0', '0', '0', 1, '1' from n`)
})
afterAll(async () => {
  engine?.close()
  await queue?.close()
  rmSync(folder, { recursive: true, force: true })
})

const whole: LedgerQuestion = {
  chain,
  from: firstDay,
  to: firstDay + days - 1,
  consumer: null,
  token: null,
  after: null,
  limit: 100,
}

const readers = { day: readLedgerDays, entry: readLedgerEntries }

function toValue({ type, value }: Argument): EngineValue {
  if (type === 'integer') return BigInt(value as string)
  return (type === 'null' ? null : value) as EngineValue
}

/** What is sought of the index, statement by statement. */
function plans(statements: readonly Statement[]): string[] {
  return statements.flatMap(({ sql: text, args }) => {
    const statement = engine.prepare(`explain query plan ${text}`)
    statement.raw(true)
    return [...statement.iterate(args.map(toValue))].map(([, , , detail]) => String(detail))
  })
}

describe.for(['day', 'entry'] as const)('by %s', by => {
  const read = readers[by]

  test('behavior: page by page it is what one page would be, of a consumer as well', async () => {
    for (const consumer of [null, 'consumer 7']) {
      const question = { ...whole, consumer, from: firstDay + 1, to: firstDay + 2, limit: 1_000 }
      const all = await read(queue.db, question)
      expect(all).toHaveLength((consumer === null ? consumers : 1) * 2 * (by === 'day' ? 1 : perGroup))
      const paged: unknown[] = []
      for (let after: LedgerQuestion['after'] = null; ; ) {
        const page: { place: readonly (string | number)[] }[] = await read(queue.db, {
          ...question,
          after,
          limit: by === 'day' ? 7 : 77,
        })
        paged.push(...page)
        after = page.at(-1)?.place ?? null
        if (after === null) break
      }
      expect(paged).toEqual(all)
    }
  })

  test('behavior: what is before the first day is not told, whatever place is named', async () => {
    const from = firstDay + days - 1
    const all = await read(queue.db, { ...whole, from })
    for (const day of [firstDay, String(firstDay)]) {
      const after = [day, '', '', '', 0].slice(0, by === 'day' ? 3 : 5)
      expect(await read(queue.db, { ...whole, from, after })).toEqual(all)
    }
  })

  test('behavior: a page after another begins where that has ended: by the index, and with no sort', async () => {
    const all = await read(queue.db, { ...whole, limit: 1_000 })
    const last = all.at(-10)?.place ?? null
    queue.proxy.takeStatements()
    expect(await read(queue.db, { ...whole, after: last })).toHaveLength(9)
    const details = plans(queue.proxy.takeStatements())
    const place = by === 'day' ? 'day,consumer,token' : 'day,consumer,token,tx,seq'
    const marks = place.replace(/[a-z]+/g, '?')
    expect(details).toEqual([
      `SEARCH ledger USING INDEX ledger_days (chain=? AND (${place})>(${marks}) AND day<?)`,
    ])
  })
})
