import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { vanishDeliveries } from '../vanish.ts'
import { delegatedDeliverSelector } from './calls.ts'

/**
 * Statements that take back the ids of delegated subscriptions that were created in blocks that the chain has no more: they are created
 * again, by whoever comes first. Answers that were sent to an id, and not to what was signed, are given up: the id may be another's.
 * `where`: which, by columns of `delegations`. The first statement returns `CancelledJob`s.
 */
export function unlinkSubscriptions(db: Db, { chain, where }: { chain: number; where: SQL }) {
  const { orm } = db
  const undone = sql`delegations indexed by delegations_linked where chain = ${chain} and linked_block is not null and ${where}`
  const places = sql`(select subscription as id, -place as local, expiry from ${undone}) as undone`
  // The first interval that has no answer, and had none that is forgotten.
  const next = sql`max(floor_interval, 1 + coalesce((select max(interval) from deliveries
    where deliveries.chain = subscriptions.chain and deliveries.subscription = undone.local and interval > 0), 0))`
  return [
    ...vanishDeliveries(db, {
      chain,
      ids: sql`(select undone.id from ${places} where exists (select 1 from deliveries as sent
        where sent.chain = ${chain} and sent.subscription = undone.id and sent.interval > 0 and sent.state in ('computed', 'sending', 'delivered')
          and sent.call is not null and sent.call not like ${`${delegatedDeliverSelector}%`}))`,
    }),
    // What is another's now under its id was perhaps never looked at.
    orm.run(sql`
      update chains set next_id = min(next_id, (select min(subscription) from ${undone})), version = version + 1
      where id = ${chain} and exists (select 1 from ${undone})`),
    orm.run(sql`
      update deliveries set subscription = undone.local, deadline = min(coalesce(deadline, undone.expiry), undone.expiry)
      from ${places} where deliveries.chain = ${chain} and deliveries.subscription = undone.id and deliveries.interval > 0`),
    orm.run(sql`
      update transactions set deadline = (select max(deadline) from deliveries indexed by deliveries_tx where tx = transactions.id)
      where state in ('signed', 'sent') and id in (select tx from deliveries join ${places}
        on deliveries.chain = ${chain} and deliveries.subscription = undone.local where interval > 0 and state = 'sending')`),
    orm.run(sql`
      update subscriptions set id = undone.local, seen_block = 0, seen_hash = '0x', state = 'active', due_at = 0, tries = 0,
        next_interval = ${next}, reason = null, message = null, params = null, kept_since = null
      from ${places} where subscriptions.chain = ${chain} and subscriptions.id = undone.id`),
    orm.run(sql`
      update delegations set subscription = -place, linked_block = null, linked_hash = null
      where place in (select place from ${undone})`),
  ] as const
}
