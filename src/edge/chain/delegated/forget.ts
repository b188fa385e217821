import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'

/** `horizon`: the lowest block that a reorganisation may undo. `waitMs`: since it came. `limit`: rows of one statement. */
export type ForgetOptions = { chain: number; horizon: number; waitMs: number; limit: number }

/**
 * Gives up what has waited to be created for so long, unless an answer is under way: signatures may be good for decades, and what
 * waits takes up room. A statement.
 */
export function endWaiting({ orm, now }: Db, { chain, waitMs, limit }: ForgetOptions) {
  return orm.run(sql`
    update subscriptions set state = 'ended', due_at = null, tries = 0, reason = 'waited_too_long',
      message = 'It was not created in time', params = null, kept_since = ${now}
    where (chain, id) in (
        select ${chain}, -place from delegation_shares indexed by delegation_shares_waiting
        where chain = ${chain} and waits = 1 and created_at <= ${now} - ${waitMs} order by created_at limit ${limit})
      and +state = 'active' and not exists (select 1 from deliveries where deliveries.chain = ${chain} and deliveries.subscription = subscriptions.id
        and interval > 0 and deliveries.state <> 'dropped')`)
}

/**
 * Forgets the data of what has ended, and that no reorganisation begins again. That it was there is remembered: the same request is answered
 * the same. A statement.
 */
export function forgetData({ orm, now }: Db, { chain, horizon, limit }: ForgetOptions) {
  return orm.run(sql`
    update delegations set data = '', data_bytes = 0
    where place in (
        select place from delegation_shares indexed by delegation_shares_over
        where chain = ${chain} and over_since <= ${now} and waits = 0 order by over_since limit ${limit})
      and coalesce(linked_block, 0) < ${horizon} and exists (
        select 1 from subscriptions where subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription
          and seen_block < ${horizon} and coalesce(decided_block, 0) < ${horizon})`)
}
