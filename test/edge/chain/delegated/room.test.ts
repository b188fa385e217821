import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Door } from '../../../../src/edge/chain/delegated/door.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** What may wait to be created: so many of an owner, so much data of it, and of all of a chain. */

let world: Delegating
beforeEach(async () => {
  world = await startDelegating()
})
afterEach(async () => await world?.close())

const later = { active_at: 3_000_000_000 }
const data = `{"a":"${'x'.repeat(992)}"}`

async function doorOf(bounds: Partial<Door['jobs']['bounds']>): Promise<Door> {
  const door = await world.door()
  return { ...door, jobs: { ...door.jobs, bounds: { ...door.jobs.bounds, ...bounds } } }
}

async function fill(count: number, owner: string): Promise<void> {
  await world.queue.db.orm.run(sql`
    insert into delegations (place, id, chain, owner, nonce, subscription, expiry, v, r, s, digest, data_signed, data, data_bytes, fingerprint, created_at)
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})
    select i, 'id-' || i, ${world.chain.id}, iif(${owner} = '', 'owner-' || i, ${owner}), 1000 + i, -i, 1, 27, '0x', '0x', '0x', 0, '{}', 2, '', 1 from n`)
}

test('default: as much data of an owner as its jobs may have', async () => {
  expect(Buffer.byteLength(data)).toBe(1_000)
  const door = await doorOf({ maxBytesPerOwner: 2_999 })
  expect(await world.refusal(later, { data, door })).toBeNull()
  const replaced = await world.sign(later)
  expect(await world.refusal(replaced, { data, door })).toBeNull()
  expect(await world.refusal(later, { data, door })).toBe('queue_full')
  expect(await world.refusal(later, { door })).toBeNull()
  expect(await world.refusal(replaced, { data, door })).toBeNull()
})

test('default: as much data of a chain as its jobs may have', async () => {
  const door = await doorOf({ maxBytes: 1_000 })
  await fill(1, 'another')
  expect(await world.refusal(later, { data, door })).toBe('queue_full')
  expect(await world.refusal(later, { data: '{}', door })).toBeNull()
})

test('behavior: what is created makes room', async () => {
  const door = await doorOf({ maxBytesPerOwner: 1_000 })
  expect(await world.refusal({}, { data, door })).toBeNull()
  expect(await world.refusal({}, { data, door })).toBe('queue_full')
  await world.compute()
  await world.settle(world.ticker())
  expect(await world.refusal({}, { data, door })).toBeNull()
})

test.for([
  [999, 'owner'],
  [49_999, ''],
] as const)('behavior: %s of %s, and one more', async ([count, whose]) => {
  const { subscription } = await world.sign()
  await fill(count, whose === 'owner' ? subscription.owner : '')
  expect(await world.refusal(later)).toBeNull()
  expect(await world.refusal(later)).toBe('queue_full')
})
