import { type SQL, sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { vanishDeliveries } from '../vanish.ts'

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
 * Where the id was taken for an ordinary one, by a look that came before the request was stored, that one stays, and what was begun twice is
 * given up. To do it twice is harmless. The first statement returns `CancelledJob`s.
 */
export function linkSubscription(db: Db, { chain, link, block, guard }: LinkOptions) {
  const { orm } = db
  const { place, id } = link
  const local = -place
  const isLocal = sql`(${guard} and exists (select 1 from delegations where place = ${place} and subscription = ${local}))`
  const end = sql`(select iif(period = 0, null, active_at + deliveries.interval * period) from subscriptions
    where chain = ${chain} and subscriptions.id = ${local})`
  return [
    // What is left under the id below 0 once the rest has moved.
    ...vanishDeliveries(db, {
      chain,
      ids: sql`(select ${local} where ${isLocal} and exists (
        select 1 from deliveries as mine, deliveries as theirs where mine.chain = ${chain} and mine.subscription = ${local}
          and theirs.chain = ${chain} and theirs.subscription = ${id} and theirs.interval = mine.interval))`,
    }),
    // The signature's expiry does not bind what is created.
    orm.run(sql`
      update deliveries set subscription = ${id}, deadline = ${end}
      where chain = ${chain} and subscription = ${local} and interval > 0 and ${isLocal}`),
    orm.run(sql`
      update subscriptions set id = ${id}, seen_block = ${block.number}, seen_hash = ${block.hash}
      where chain = ${chain} and id = ${local} and ${isLocal}
        and not exists (select 1 from subscriptions as known where known.chain = ${chain} and known.id = ${id})`),
    orm.run(sql`delete from subscriptions where chain = ${chain} and id = ${local} and ${isLocal}`),
    orm.run(sql`
      insert into chain_blocks (chain, number, hash) select ${chain}, ${block.number}, ${block.hash} where ${isLocal}
      on conflict (chain, number) do nothing`),
    orm.run(sql`
      update delegations set subscription = ${id}, linked_block = ${block.number}, linked_hash = ${block.hash}
      where place = ${place} and subscription = ${local} and ${guard}`),
  ] as const
}

/**
 * Statements that take it back for what was created in blocks that the chain has no more: it is created again, by whoever comes first.
 * `where`: which, by columns of `delegations`.
 */
export function unlinkSubscriptions({ orm }: Db, { chain, where }: { chain: number; where: SQL }) {
  const undone = sql`delegations indexed by delegations_linked where chain = ${chain} and linked_block is not null and ${where}`
  const places = sql`(select subscription as id, -place as local, expiry from ${undone}) as undone`
  return [
    // What is another's now under its id was perhaps never looked at.
    orm.run(sql`
      update chains set next_id = min(next_id, (select min(subscription) from ${undone})), version = version + 1
      where id = ${chain} and exists (select 1 from ${undone})`),
    orm.run(sql`
      update deliveries set subscription = undone.local, deadline = min(coalesce(deadline, undone.expiry), undone.expiry)
      from ${places} where deliveries.chain = ${chain} and deliveries.subscription = undone.id and deliveries.interval > 0`),
    orm.run(sql`
      update subscriptions set id = undone.local, seen_block = 0, seen_hash = '0x', state = 'active', due_at = 0, tries = 0,
        reason = null, message = null, params = null
      from ${places} where subscriptions.chain = ${chain} and subscriptions.id = undone.id`),
    orm.run(sql`
      update delegations set subscription = -place, linked_block = null, linked_hash = null
      where place in (select place from ${undone})`),
  ] as const
}
