import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sumColumns, toSum } from '../../../../src/edge/chain/ledger/amounts.ts'
import { type Queue, startQueue } from '../../../support/queue.ts'

let queue: Queue
beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue?.close())

test('property: sums of what 256 bits hold are exact', async () => {
  const amounts = fc.array(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(amounts, async list => {
      const [row] = await queue.db.orm.all<Record<string, unknown>>(
        sql`select ${sumColumns('value')} from json_each(${JSON.stringify(list.map(String))})`,
      )
      expect(toSum(row ?? {}, 'value')).toBe(String(list.reduce((sum, each) => sum + each, 0n)))
    }),
    { numRuns: 100 },
  )
})
