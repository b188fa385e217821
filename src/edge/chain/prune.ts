import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

/** `head`: the block that is believed; `reorgDepth`: in blocks below it. `retentionMs`: how long something is kept after its last answer. */
export type PruneOptions = { chain: number; head: number; reorgDepth: number; retentionMs: number }

/** Rows that one statement forgets, so that none holds the one writer for long. */
const prunePerStatement = 500

export type Pruned = { subscriptions: number; deliveries: number; blocks: number }

/**
 * Forgets subscriptions that ended longer ago than the retention, as far as that can be told: they are older, and so is their last answer.
 * Deliveries go with their subscription, once nothing can become of them any more. A part each time: call it again while something went.
 */
export async function pruneChain({ orm, now }: Db, options: PruneOptions): Promise<Pruned> {
  const { chain, head, reorgDepth, retentionMs } = options
  const old = sql`(
    select id from subscriptions as old indexed by subscriptions_ended
    where chain = ${chain} and state = 'ended' and created_at <= ${now} - ${retentionMs} and not exists (
      select 1 from deliveries where chain = ${chain} and subscription = old.id
        and (state not in ('final', 'dropped') or created_at > ${now} - ${retentionMs}))
    order by created_at limit ${prunePerStatement})`
  const [deliveries, subscriptions, blocks] = await orm.batch([
    orm.run(sql`
      delete from deliveries where rowid in (
        select rowid from deliveries where chain = ${chain} and subscription in ${old} limit ${prunePerStatement})`),
    // One that had many deliveries has some left.
    orm.run(sql`
      delete from subscriptions where chain = ${chain} and id in ${old} and not exists (
        select 1 from deliveries where deliveries.chain = ${chain} and deliveries.subscription = subscriptions.id)`),
    orm.run(sql`
      delete from chain_blocks where chain = ${chain} and number in (
        select number from chain_blocks where chain = ${chain} and number < ${head - reorgDepth}
        order by number limit ${prunePerStatement})`),
  ])
  return {
    subscriptions: subscriptions.rowsAffected,
    deliveries: deliveries.rowsAffected,
    blocks: blocks.rowsAffected,
  }
}
