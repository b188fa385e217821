import { type SQL, sql } from 'drizzle-orm'
import { zeroAddress } from 'viem'
import type { Db } from '../db/open.ts'
import type { Block, Subscription } from './chain.ts'
import { dueAgain } from './rewind-subscriptions.ts'
import type { Verdict } from './verdict.ts'

/** Rows that one statement writes: some 400 KiB of text. */
export const rowsPerStatement = 500

/** A row to be. */
export type Stored = { subscription: Subscription; verdict: Verdict }

export type StoreOptions = {
  chain: number
  /** Rows of one statement, `rowsPerStatement` at most. */
  rows: readonly Stored[]
  /** Of the policy that the verdicts go by. */
  epoch: number
  /** At which they were read. */
  block: Block
  /** Nothing is written unless it holds; `value ->> 'i'` is the id. */
  guard: SQL
}

/** Writes subscriptions that are new. Those that are known by their ids are only to be looked at again. A statement. */
export function insertSubscriptions({ orm, now }: Db, options: StoreOptions) {
  return orm.run(sql`
    ${insert(now, options)}
    on conflict (chain, id) do update set state = 'active', due_at = ${dueAgain.inDoubt}, tries = 0, reason = null, message = null, params = null,
      kept_since = null, seen_block = excluded.seen_block, seen_hash = excluded.seen_hash`)
}

/**
 * Writes subscriptions over what was known by their ids, and begins to count their intervals anew. One that could not be read was there all
 * the same: a rewind to where it was first read would take the cursor behind others that are forgotten. A statement.
 */
export function replaceSubscriptions({ orm, now }: Db, options: StoreOptions) {
  return orm.run(sql`
    ${insert(now, options)}
    on conflict (chain, id) do update set state = excluded.state, due_at = excluded.due_at, next_interval = excluded.next_interval,
      floor_interval = excluded.floor_interval, kept_since = excluded.kept_since, tries = excluded.tries, epoch = excluded.epoch, reason = excluded.reason, message = excluded.message, params = excluded.params,
      seen_block = iif(subscriptions.owner = ${zeroAddress}, subscriptions.seen_block, excluded.seen_block), decided_block = iif(excluded.state = 'active', null, excluded.seen_block), seen_hash = excluded.seen_hash, created_at = excluded.created_at, owner = excluded.owner,
      active_at = excluded.active_at, period = excluded.period, frequency = excluded.frequency, redundancy = excluded.redundancy,
      container_id = excluded.container_id, route = excluded.route, lazy = excluded.lazy, verifier = excluded.verifier,
      payment_amount = excluded.payment_amount, payment_token = excluded.payment_token, wallet = excluded.wallet,
      expires_at = excluded.expires_at, max_fee = excluded.max_fee, prepaid = excluded.prepaid, committed = excluded.committed`)
}

function insert(now: Db['now'], { chain, rows, epoch, block, guard }: StoreOptions): SQL {
  return sql`
    insert into subscriptions (chain, id, state, due_at, next_interval, tries, epoch, reason, message, params, seen_block, seen_hash,
      created_at, kept_since, owner, active_at, period, frequency, redundancy, container_id, route, lazy, verifier, payment_amount, payment_token,
      wallet, expires_at, max_fee, prepaid, committed)
    select ${chain}, value ->> 'i', value ->> 's', value ->> 'd', value ->> 'n', 0, ${epoch}, value ->> 'r', value ->> 'm', value ->> 'p',
      ${block.number}, ${block.hash}, ${now}, iif(value ->> 's' = 'ended', ${now}, null), value ->> 'o', value ->> 'a', value ->> 'pe', value ->> 'f', value ->> 're',
      value ->> 'c', value ->> 'ro', value ->> 'l', value ->> 'v', value ->> 'pa', value ->> 'pt', value ->> 'w', value ->> 'e',
      value ->> 'mf', value ->> 'pp', value ->> 'co'
    from json_each(${JSON.stringify(rows.map(toItem))})
    where ${guard}`
}

function toItem({ subscription, verdict }: Stored) {
  return {
    i: subscription.id,
    s: verdict.state,
    d: verdict.dueAt,
    n: verdict.nextInterval,
    r: verdict.reason,
    m: verdict.message,
    p: verdict.params && JSON.stringify(verdict.params),
    o: subscription.owner,
    a: subscription.activeAt,
    pe: subscription.period,
    f: subscription.frequency,
    re: subscription.redundancy,
    c: subscription.containerId,
    ro: verdict.route,
    l: subscription.lazy ? 1 : 0,
    v: subscription.verifier,
    pa: String(subscription.paymentAmount),
    pt: subscription.paymentToken,
    w: subscription.wallet,
    e: subscription.expiresAt,
    mf: subscription.maxFee,
    pp: subscription.prepaid ? 1 : 0,
    co: subscription.committed ? 1 : 0,
  }
}
