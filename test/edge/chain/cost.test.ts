import { sql } from 'drizzle-orm'
import { toHex } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { type Contract, createSubscription, deploy } from '../../support/chain.ts'
import { startTicking, type Ticking } from './ticking.ts'

/**
 * What ticks ask of a chain's node and of the database, in requests and statements, whatever the time they take. What is due exists on the chain;
 * of what is not, no tick asks, so it is in the database alone.
 */

const active = 10_000
const dead = 100_000
/** 1 %. */
const due = 100
const period = 3_600
const maxRequests = 20

type Cost = { requests: number; statements: number }

let world: Ticking
let node: ChainTick
let consumer: Contract

beforeAll(async () => {
  world = await startTicking()
  consumer = await deploy(world.chain, { name: 'AskingConsumer', args: [world.chain.registry] })
  node = world.ticker({ gas: { maxInFlight: 64 } })
  for (let made = 0; made < due; made++)
    await createSubscription(world.chain, consumer, { frequency: 1_000, period })
  await world.look(node)
  // They are due at one block, and beside them what is not.
  await world.queue.db.orm.run(sql`update subscriptions set due_at = (select max(due_at) from subscriptions)`)
  await insertOthers({ from: 1_000_001, count: active - due, state: 'active' })
  await world.look(node)
}, 120_000)
afterAll(async () => await world?.close())

test('behavior: 10,000 are active and 1 % due: few requests, and 100,000 dead ones change nothing', async () => {
  // The first answer of each takes more gas than others, so more transactions.
  await measured()
  const alone = await measured()
  await insertOthers({ from: 2_000_001, count: dead, state: 'ended' })
  const beside = await measured()
  expect(beside).toEqual(alone)
  for (const { requests } of Object.values(alone)) expect(requests).toBeLessThanOrEqual(maxRequests)
  // To begin what is due, to send its answers and to see them mined is less than that together.
  expect(alone.begin.requests + alone.send.requests + alone.confirm.requests).toBeLessThanOrEqual(maxRequests)
  expect(alone.idle).toEqual({ requests: 1, statements: 0 })
})

/** One interval of all that is due. */
async function measured(): Promise<Record<'begin' | 'send' | 'confirm' | 'idle', Cost>> {
  await world.look(node)
  await world.chain.warp(period)
  const before = await world.deliveries()
  const begin = await costOf(() => node.tick({ poked: false }))
  expect(await world.compute()).toBe(due)
  const send = await costOf(() => node.tick({ poked: true }))
  await world.mine()
  const confirm = await costOf(() => node.tick({ poked: false }))
  const after = await world.deliveries()
  expect(after).toHaveLength(before.length + due)
  expect(new Set(after.map(({ state }) => state))).toEqual(new Set(['delivered']))
  await world.mine()
  const idle = await costOf(() => node.tick({ poked: false }))
  return { begin, send, confirm, idle }
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  world.proxy.takeRequests()
  world.queue.proxy.takeStatements()
  await work()
  return {
    requests: world.proxy.takeRequests().length,
    statements: world.queue.proxy.takeStatements().length,
  }
}

/** Active ones are due after the test; of both, nothing is on the chain. */
async function insertOthers({
  from,
  count,
  state,
}: {
  from: number
  count: number
  state: 'active' | 'ended'
}): Promise<void> {
  const { db } = world.queue
  await db.orm.run(sql`
    insert into subscriptions (chain, id, state, due_at, next_interval, epoch, reason, seen_block, seen_hash, created_at, owner, active_at, period,
      frequency, redundancy, container_id, lazy, verifier, payment_amount, payment_token, wallet)
    with recursive ids (id) as (select ${from} union all select id + 1 from ids where id < ${from + count - 1})
    select ${world.chain.id}, id, ${state}, ${state === 'active' ? 2 ** 40 : null}, 2, 0, ${state === 'active' ? null : 'begun'}, 1,
      ${toHex(1)}, ${db.now}, '0x', 1, 3600, 1000, 1, '0x', 0, '0x', '0', '0x', '0x' from ids`)
}
