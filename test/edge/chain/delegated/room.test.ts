import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Door } from '../../../../src/edge/chain/delegated/door.ts'
import { type PruneOptions, pruneChain } from '../../../../src/edge/chain/prune.ts'
import { register } from '../../../../src/edge/runners/register.ts'
import { dataTypedDataOf } from '../../../../src/protocol/data-signature.ts'
import { policyOf } from '../../../support/runner.ts'
import { type Delegating, signer, startDelegating } from './delegating.ts'

/** What may wait to be created: so many of an owner, so much data of it, and of all of a chain. */

let world: Delegating
beforeEach(async () => {
  world = await startDelegating()
  later = { active_at: (await now()) + 86_400 }
})
afterEach(async () => await world?.close())

const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)
const horizon = 365 * 86_400
/** It waits for long. */
let later: { active_at: number }
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

test('behavior: what is created makes room, and its data does once nothing can be begun with it', async () => {
  const door = await doorOf({ maxBytesPerOwner: 1_000 })
  const node = world.ticker()
  const active_at = await now()
  await world.take({ active_at, period: 1_000, frequency: 2 }, { data, door })
  expect(await world.refusal({}, { data, door })).toBe('queue_full')
  await world.compute()
  await world.settle(node)
  expect(await world.ids()).toEqual([1])
  expect(await world.refusal({}, { data, door })).toBe('queue_full')
  await world.chain.warp(1_000)
  await world.look(node)
  expect(await world.subscriptions()).toMatchObject([{ id: 1, state: 'ended' }])
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

test('behavior: at once and often, no more than fit', async () => {
  const { subscription } = await world.sign()
  await fill(997, subscription.owner)
  const codes = await Promise.all(Array.from({ length: 8 }, () => world.refusal(later)))
  expect(codes.filter(code => code === null)).toHaveLength(3)
  expect(codes.filter(code => code === 'queue_full')).toHaveLength(5)
})

test('behavior: of the same at once in the last place all are told the same', async () => {
  const request = await world.sign(later)
  await fill(999, request.subscription.owner)
  const taken = await Promise.all(Array.from({ length: 4 }, () => world.take(request)))
  expect(new Set(taken.map(({ id }) => id)).size).toBe(1)
})

describe('what nothing comes of', () => {
  const limit = { maxBytesPerOwner: 1_000 }
  /** What it takes for a request to be as good as gone. */
  const ends: [string, () => Promise<void>][] = [
    ['expired', async () => await pass(101)],
    [
      'foiled',
      async () => {
        await world.create(await world.sign({ nonce: 1, redundancy: 2 }))
        await pass(101)
      },
    ],
    [
      'refused',
      async () => {
        await register(world.queue.db, {
          ...(await world.queue.host()),
          version: 'test',
          containers: [policyOf('other')],
        })
        await world.queue.db.orm.run(sql`update runners set containers = '[]' where containers like '%echo%'`)
        await pass(101)
      },
    ],
    [
      'failed',
      async () => {
        await pass(101)
        await world.queue.db.orm.run(
          sql`update jobs set state = 'failed', error_code = 'container_error', finished_at = 1 where state = 'queued'`,
        )
      },
    ],
  ]
  const pass = async (seconds: number) => {
    await world.chain.warp(seconds)
    await world.look(world.ticker())
  }

  test.for(ends)('behavior: %s takes no room', async ([name, end]) => {
    const door = await doorOf(limit)
    const active_at = (await now()) + 100
    const expiry = name === 'expired' ? active_at : undefined
    await world.take({ nonce: 1, active_at, ...(expiry !== undefined && { expiry }) }, { data, door })
    expect(await room()).toEqual({ waiting: 1, bytes: 1_000 })
    await end()
    expect(await room()).toEqual({ waiting: 0, bytes: 0 })
  })

  test('behavior: what takes the place of another takes its room, though there is no other', async () => {
    const { subscription } = await world.sign()
    const active_at = (await now()) + 100
    await world.take({ nonce: 1, active_at, expiry: active_at })
    await pass(101)
    await fill(998, subscription.owner)
    await world.take({ nonce: 1, ...later })
    const waiting = await world.sign(later)
    await world.take(waiting)
    expect(await world.refusal(later)).toBe('queue_full')
    const { owner } = waiting.subscription
    const domain = { chainId: world.chain.id, coordinator: world.chain.coordinator }
    const forData = { owner, nonce: waiting.signature.nonce, data }
    const data_signature = await signer.signTypedData(dataTypedDataOf(domain, forData))
    expect(await world.take({ ...waiting, data_signature }, { data })).toMatchObject({ replayed: false })
    expect(await room()).toMatchObject({ waiting: 1_000 })
  })

  test('behavior: what there is no room for leaves what it was to replace', async () => {
    const { subscription } = await world.sign()
    const active_at = (await now()) + 100
    const { id } = await world.take({ nonce: 1, active_at, expiry: active_at })
    await pass(101)
    await fill(1_000, subscription.owner)
    expect(await world.refusal({ nonce: 1, ...later })).toBe('queue_full')
    const rows = await world.queue.db.orm.all(sql`select id from delegations where nonce = 1`)
    expect(rows).toEqual([{ id }])
  })
})

describe('how long', () => {
  const options = { retentionMs: 1e12, waitMs: 1e12 }
  const prune = async (more: Partial<PruneOptions> = {}) =>
    await pruneChain(world.queue.db, {
      chain: world.chain.id,
      head: 10_000,
      reorgDepth: 0,
      ...options,
      ...more,
    })

  test('behavior: what begins beyond the horizon is refused, with where that is', async () => {
    const request = await world.sign({ active_at: (await now()) + horizon + 1_000 })
    const told = await world.send(request)
    expect(told).toEqual({
      refusal: {
        code: 'invalid_request',
        error: 'It begins too late to be kept until then',
        params: { active_at: request.subscription.active_at, before: expect.any(Number) },
      },
    })
    expect(await world.refusal({ active_at: (await now()) + horizon - 1_000 })).toBeNull()
  })

  test('behavior: what nobody has created by then is given up, however long its signature is good', async () => {
    await world.take({ ...later, expiry: 4_294_967_295 })
    const computing = await world.take()
    await prune({ waitMs: 60_000 })
    expect((await world.subscriptions()).filter(({ state }) => state === 'active')).toHaveLength(1)
    await world.queue.db.orm.run(sql`update delegation_shares set created_at = created_at - 60000`)
    await prune({ waitMs: 60_000 })
    expect((await world.subscriptions()).map(({ reason }) => reason).toSorted()).toEqual([
      'begun',
      'waited_too_long',
    ])
    expect(await room()).toMatchObject({ waiting: 1 })
    await world.compute()
    await world.settle(world.ticker())
    expect(await world.deliveries()).toMatchObject([{ subscription: 1, state: 'delivered' }])
    expect(computing.job).not.toBeNull()
  })

  test('behavior: data is forgotten once no reorganisation brings it back, and the request is known all the same', async () => {
    const request = await world.sign()
    const { id } = await world.take(request)
    await world.compute()
    await world.settle(world.ticker())
    const bytes = async () =>
      (await world.queue.db.orm.all<{ n: number }>(sql`select length(data) as n from delegations`))[0]?.n
    await prune({ head: Number(await world.chain.deployer.chain.getBlockNumber()), reorgDepth: 64 })
    expect(await bytes()).toBe(7)
    await prune()
    expect(await bytes()).toBe(0)
    expect(await world.take(request)).toMatchObject({ id, replayed: true })
    expect(await world.refusal(request, { data: '{"a":2}' })).toBe('data_conflict')
  })

  test('behavior: what is refused goes with the retention', async () => {
    const { id } = await world.take({ active_at: (await now()) + 100 })
    await world.queue.db.orm.run(sql`update runners set containers = '[]'`)
    await world.chain.warp(101)
    await world.look(world.ticker())
    expect(await world.subscriptions()).toMatchObject([{ state: 'refused' }])
    await prune({ retentionMs: 60_000 })
    expect(await world.subscriptions()).toHaveLength(1)
    await world.queue.db.orm.run(sql`update subscriptions set kept_since = kept_since - 60000`)
    await prune({ retentionMs: 60_000 })
    expect([await world.subscriptions(), await world.ids()]).toEqual([[], []])
    expect(id).toBeDefined()
  })
})

/** What is counted of all of a chain. */
async function room() {
  const [row] = await world.queue.db.orm.all<{ waiting: number; bytes: number }>(
    sql`select waiting, bytes from delegation_counts where owner = '*'`,
  )
  return row
}
