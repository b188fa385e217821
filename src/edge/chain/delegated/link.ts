import { type SQL, sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { cancelledAt } from '../interval.ts'
import { dueAgain } from '../rewind-subscriptions.ts'
import { giveUpDeliveries } from '../vanish.ts'
import { delegatedDeliverSelector } from './calls.ts'
import type { Waiting } from './created.ts'
import { begunTwice, betterOf } from './twice.ts'

/** `place`: of the delegation. `id`: the chain's for it. */
export type Link = { place: number; id: number }

export type LinkOptions = {
  chain: number
  link: Link
  /** In which it was created, or seen to have been. */
  block: { number: number; hash: Hex }
  /** Nothing is written unless it holds. */
  guard: SQL
}

/**
 * Statements that give a delegated subscription the id that it has on the chain, and its deliveries with it. What was begun for it goes on.
 * Where the id was another subscription's, in blocks that are undone, that one is given up. Where the same was taken for an ordinary one, by
 * a look that knew nothing of the request, that one stays; of an interval that was begun for both, the answer that has come further. To do it
 * twice is harmless. The first statement returns `CancelledJob`s.
 */
export function linkSubscription(db: Db, { chain, link, block, guard }: LinkOptions) {
  const { orm } = db
  const { place, id } = link
  const local = -place
  const isLocal = sql`(${guard} and exists (select 1 from delegations where place = ${place} and subscription = ${local}))`
  const isKnown = sql`exists (select 1 from subscriptions as known where known.chain = ${chain} and known.id = ${id})`
  const isAnother = sql`exists (select 1 from subscriptions as mine, subscriptions as known
    where mine.chain = ${chain} and mine.id = ${local} and known.chain = ${chain} and known.id = ${id} and not ${isSame})`
  const end = sql`(select iif(period = 0, null, active_at + deliveries.interval * period) from subscriptions
    where chain = ${chain} and subscriptions.id = ${local})`
  return [
    ...giveUpDeliveries(db, {
      which: sql`(chain, subscription, interval) in (
        select known.chain, iif(${isAnother} or ${betterOf('mine', 'known')}, ${id}, ${local}), known.interval
        from deliveries as known left join deliveries as mine on mine.chain = known.chain and mine.subscription = ${local}
          and mine.interval = known.interval
        where known.chain = ${chain} and known.subscription = ${id} and known.interval > 0 and ${isLocal}
          and (${isAnother} or mine.job is not null))`,
      why: {
        reason: sql`iif(${isAnother}, 'vanished', ${begunTwice.reason})`,
        message: sql`iif(${isAnother}, 'The subscription is gone from the chain.', ${begunTwice.message})`,
      },
    }),
    orm.run(
      sql`delete from subscriptions where chain = ${chain} and id = ${id} and ${isLocal} and ${isAnother}`,
    ),
    // The signature's expiry does not bind what is created.
    orm.run(sql`
      update deliveries set subscription = ${id}, deadline = ${end}
      where chain = ${chain} and subscription = ${local} and interval > 0 and ${isLocal}`),
    orm.run(sql`
      update transactions set deadline = (select max(deadline) from deliveries indexed by deliveries_tx where tx = transactions.id)
      where state in ('signed', 'sent') and substr(data, 1, 10) = ${delegatedDeliverSelector} and ${isLocal} and id in (
        select tx from deliveries where chain = ${chain} and subscription = ${id} and interval > 0 and state = 'sending')`),
    // What waited for an input, or for other allowances, does not wait any more.
    orm.run(sql`
      update subscriptions set state = 'active', due_at = ${dueAgain.undecided}, tries = 0, reason = null, message = null, params = null
      where chain = ${chain} and id = ${id} and state in ('active', 'refused') and ${isLocal}`),
    orm.run(sql`
      update subscriptions set id = ${id}, seen_block = ${block.number}, seen_hash = ${block.hash}
      where chain = ${chain} and id = ${local} and ${isLocal} and not ${isKnown}`),
    orm.run(sql`delete from subscriptions where chain = ${chain} and id = ${local} and ${isLocal}`),
    orm.run(sql`
      insert into chain_blocks (chain, number, hash) select ${chain}, ${block.number}, ${block.hash} where ${isLocal}
      on conflict (chain, number) do nothing`),
    orm.run(sql`
      update delegations set subscription = ${id}, linked_block = ${block.number}, linked_hash = ${block.hash}
      where place = ${place} and subscription = ${local} and ${guard}`),
  ] as const
}

/** A statement that has a subscription which the chain does not have looked at at once: somebody may have created it, or something else. */
export function lookAgain(
  { orm }: Db,
  { chain, place, guard }: { chain: number; place: number; guard: SQL },
) {
  return orm.run(sql`
    update subscriptions set state = 'active', due_at = ${dueAgain.undecided}, kept_since = null
    where chain = ${chain} and id = ${-place} and ${guard}`)
}

/**
 * Likewise, all that waits of owners of whom something else waits by now than when they were looked at: what was taken on meanwhile may be
 * what is new. It is due before that.
 */
export function lookAgainAtOthers(
  { orm }: Db,
  { chain, waiting, guard }: { chain: number; waiting: readonly Waiting[]; guard: SQL },
) {
  const isTheirs = sql.raw(
    `delegations.chain = ${chain} and delegations.owner = looked.value ->> 'owner' and delegations.subscription < 0`,
  )
  return orm.run(sql`
    update subscriptions set state = 'active', due_at = ${dueAgain.undecided}, kept_since = null
    where ${guard} and (chain, id) in (
      select delegations.chain, delegations.subscription from json_each(${JSON.stringify(waiting)}) as looked
        cross join delegations indexed by delegations_waiting on ${isTheirs}
      where looked.value ->> 'sum' <> (select cast(sum(subscription) as text) from delegations indexed by delegations_waiting where ${isTheirs}))`)
}

/** Of `mine` and `known`: as `isCreatedAs` has it. */
const isSame: SQL =
  sql.raw(`(mine.owner = known.owner and mine.period = known.period and mine.frequency = known.frequency
  and mine.redundancy = known.redundancy and mine.container_id = known.container_id and mine.lazy = known.lazy
  and mine.verifier = known.verifier and mine.payment_amount = known.payment_amount and mine.payment_token = known.payment_token
  and mine.wallet = known.wallet and (mine.active_at = known.active_at or known.active_at = ${cancelledAt}))`)
