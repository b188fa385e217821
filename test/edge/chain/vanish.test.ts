import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { vanishDeliveries } from '../../../src/edge/chain/vanish.ts'
import { chainId, createOutbox, type Outbox } from './outbox/node.ts'

let outbox: Outbox

beforeAll(async () => {
  outbox = await createOutbox()
})
afterAll(async () => await outbox.close())

async function begin(subscription: number): Promise<void> {
  for (const interval of [1, 2, 7])
    await outbox.db.orm.run(sql`
      insert into deliveries (chain, subscription, interval, job, state, created_at)
      values (${chainId}, ${subscription}, ${interval}, lower(hex(randomblob(16))), 'computing', 0)`)
}

/** As a dump is read back: rows are numbered anew, from 1. */
async function restore(): Promise<void> {
  for (const statement of [
    'create table dump as select * from deliveries',
    'delete from deliveries',
    'insert into deliveries select * from dump',
    'drop table dump',
  ])
    await outbox.db.orm.run(sql.raw(statement))
}

const vanish = async () =>
  await outbox.db.orm.batch(vanishDeliveries(outbox.db, { chain: chainId, ids: sql`(select 1)` }))

test('behavior: answers that vanish have a place each, also when the database was restored from a dump meanwhile', async () => {
  await begin(2)
  for (let round = 0; round < 4; round++) {
    await begin(1)
    const before = (await outbox.deliveries()).filter(({ interval }) => interval < 0)
    await vanish()
    const after = (await outbox.deliveries()).filter(({ subscription }) => subscription === 1)
    expect(after).toHaveLength(3 * (round + 1))
    expect(after.every(({ interval }) => interval < 0)).toBe(true)
    // What vanished before stays where it is.
    expect(after).toEqual(expect.arrayContaining(before))
    await outbox.db.orm.run(sql`delete from deliveries where subscription = 2`)
    await restore()
  }
})
