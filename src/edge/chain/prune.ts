import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import { endWaiting, forgetData } from './delegated/forget.ts'
import { forgetCounted } from './guard/record.ts'

/**
 * `head`: the block that is believed; `reorgDepth`: in blocks below it. `retentionMs`: how long something is kept that is over. `waitMs`: how
 * long what was signed for is kept that nobody creates.
 */
export type PruneOptions = {
  chain: number
  head: number
  reorgDepth: number
  retentionMs: number
  waitMs: number
}

/** Rows that one statement forgets, so that none holds the one writer for long. */
const prunePerStatement = 500
/** When an ended subscription is looked at again that has an answer which may still change. */
const lookAgainMs = 3_600_000

/** `isLeft`: there is more than was forgotten at once. */
export type Pruned = {
  deliveries: number
  subscriptions: number
  transactions: number
  blocks: number
  isLeft: boolean
}

/** `tx`: in which it was sent; null: in none. */
type Over = { subscription: number; interval: number; tx: string | null }

/**
 * Forgets what is older than the retention, and so deep that no reorganisation reaches it: answers that are final or dropped, subscriptions
 * that have ended and have no answer left, transactions whose answers are forgotten. That an interval was begun is remembered all the same:
 * by its subscription's `floor_interval`, and by the cursor that is past the subscription. Of what was signed for the data goes as soon as
 * nothing can be begun with it. A part each time.
 */
export async function pruneChain(db: Db, options: PruneOptions): Promise<Pruned> {
  const { orm, now } = db
  const { chain, retentionMs, waitMs } = options
  const horizon = horizonOf(options)
  const ofDelegated = { chain, horizon, waitMs, limit: prunePerStatement }
  const { over, ended } = await select(db, options)
  // A subscription goes after its last answer; while there are more of these than one look takes, it would be looked at in vain.
  const ids = over.length === prunePerStatement ? [] : ended
  const named = JSON.stringify(ids.map(id => ({ c: chain, i: id })))
  const isOld = sql`created_at <= ${now} - ${retentionMs}`
  const [waited, data, , deliveries, , subscriptions, , , transactions, blocks] = await orm.batch([
    endWaiting(db, ofDelegated),
    forgetData(db, ofDelegated),
    orm.run(sql`
      update subscriptions set floor_interval = item.value ->> 'n' from json_each(${JSON.stringify(marksOf(chain, over))}) as item
      where subscriptions.chain = item.value ->> 'c' and subscriptions.id = item.value ->> 'i'
        and floor_interval < item.value ->> 'n'`),
    orm.run(sql`
      delete from deliveries where chain = ${chain}
        and (subscription, interval) in (select value ->> 'subscription', value ->> 'interval' from json_each(${JSON.stringify(over)}))
        and ${isOver(options)}`),
    orm.run(sql`
      delete from proofs where rowid in (
          select rowid from proofs where chain = ${chain}
            and (subscription, interval) in (select value ->> 'subscription', value ->> 'interval' from json_each(${JSON.stringify(over)}))
          union all select rowid from proofs indexed by proofs_answer
            where answer_tx in (select value ->> 'tx' from json_each(${JSON.stringify(over)}) where value ->> 'tx' is not null))
        and not exists (select 1 from deliveries where deliveries.chain = proofs.chain and deliveries.subscription = proofs.subscription
          and deliveries.interval = proofs.interval)
        and not exists (select 1 from deliveries indexed by deliveries_tx where deliveries.tx = proofs.answer_tx and deliveries.interval < 0)`),
    orm.run(sql`
      delete from subscriptions
      where (chain, id) in (select value ->> 'c', value ->> 'i' from json_each(${named})) and ${isKept} and seen_block < ${horizon}
        and coalesce(decided_block, 0) < ${horizon} and not exists (select 1 from deliveries where deliveries.chain = ${chain} and deliveries.subscription = subscriptions.id)
        and not exists (select 1 from proofs where proofs.chain = ${chain} and proofs.subscription = subscriptions.id and ${isOpenProof(options)})`),
    orm.run(sql`
      delete from delegations where (chain, subscription) in (select value ->> 'c', value ->> 'i' from json_each(${named}))
        and not exists (select 1 from subscriptions where subscriptions.chain = delegations.chain and subscriptions.id = delegations.subscription)`),
    orm.run(sql`
      update subscriptions set kept_since = ${now} - ${retentionMs} + ${Math.min(lookAgainMs, retentionMs)}
      where (chain, id) in (select value ->> 'c', value ->> 'i' from json_each(${named})) and ${isKept}`),
    // The highest nonce of a signer stays: it tells that those below it are used.
    orm.run(sql`
      delete from transactions where id in (
        select id from transactions as old indexed by transactions_over
        where chain = ${chain} and state in ('final', 'displaced') and ${isOld}
          and not exists (select 1 from deliveries indexed by deliveries_tx where deliveries.tx = old.id)
          and (+state = 'displaced' and passed_block is null or exists (
            select 1 from transactions as later indexed by transactions_nonce
            where later.chain = ${chain} and later.signer = old.signer and later.nonce > old.nonce and later.state <> 'displaced'
              and +later.state = 'final'))
        order by created_at limit ${prunePerStatement})`),
    orm.run(sql`
      delete from chain_blocks where chain = ${chain} and number in (
        select number from chain_blocks where chain = ${chain} and number < ${horizon}
        order by number limit ${prunePerStatement})`),
    ...forgetCounted(db, { chain, horizon: horizonOf(options) }),
  ])
  const pruned = [deliveries, subscriptions, transactions, blocks].map(({ rowsAffected }) => rowsAffected)
  const [deliveryCount = 0, subscriptionCount = 0, transactionCount = 0, blockCount = 0] = pruned
  const others = [waited, data].map(({ rowsAffected }) => rowsAffected)
  return {
    deliveries: deliveryCount,
    subscriptions: subscriptionCount,
    transactions: transactionCount,
    blocks: blockCount,
    isLeft: [...pruned, ...others].some(count => count === prunePerStatement),
  }
}

/** Of a row of `subscriptions`: it is over, or was refused before it was created. */
const isKept = sql.raw(`(+state = 'ended' or +state = 'refused' and id < 0)`)

/** The lowest block that a reorganisation may undo. */
function horizonOf({ head, reorgDepth }: PruneOptions): number {
  return head - reorgDepth
}

/** What may go, the oldest first. */
async function select({ orm, now }: Db, options: PruneOptions): Promise<{ over: Over[]; ended: number[] }> {
  const { chain, retentionMs } = options
  const isOld = sql`kept_since <= ${now} - ${retentionMs}`
  const [over, ended, refused] = await orm.batch([
    orm.all<Over>(sql`
      select subscription, interval, tx from deliveries indexed by deliveries_over
      where chain = ${chain} and created_at <= ${now} - ${retentionMs} and ${isOver(options)}
      order by created_at limit ${prunePerStatement}`),
    orm.all<{ id: number }>(sql`
      select id from subscriptions indexed by subscriptions_ended
      where chain = ${chain} and state = 'ended' and ${isOld}
      order by kept_since limit ${prunePerStatement}`),
    orm.all<{ id: number }>(sql`
      select id from subscriptions indexed by subscriptions_kept
      where chain = ${chain} and state = 'refused' and ${isOld}
      order by kept_since limit ${prunePerStatement}`),
  ])
  return { over, ended: [...ended, ...refused].slice(0, prunePerStatement).map(({ id }) => id) }
}

/** Of a row of `proofs`: its verdict is to come, or may be undone. Whose it is may be another's answer, and what it moves is booked by its terms. */
function isOpenProof(options: PruneOptions) {
  return sql`(proofs.state = 'pending' or proofs.settled_block >= ${horizonOf(options)})`
}

/** Of a row of `deliveries`: nothing can become of it, and nothing would begin its interval again. One that is given up may be another's proof. */
function isOver(options: PruneOptions) {
  const isOpen = isOpenProof(options)
  return sql`state in ('final', 'dropped') and coalesce(dropped_block, 0) < ${horizonOf(options)}
    and not exists (select 1 from proofs where proofs.chain = deliveries.chain and proofs.subscription = deliveries.subscription
      and proofs.interval = deliveries.interval and ${isOpen})
    and not exists (select 1 from proofs indexed by proofs_answer where deliveries.interval < 0 and proofs.answer_tx = deliveries.tx and ${isOpen})
    and not exists (select 1 from transactions where transactions.id = deliveries.tx and transactions.state in ('signed', 'sent', 'mined'))
    and not exists (select 1 from subscriptions where subscriptions.chain = deliveries.chain
      and subscriptions.id = deliveries.subscription
      and (subscriptions.next_interval <= deliveries.interval or subscriptions.seen_block >= ${horizonOf(options)}))`
}

/** The first interval of each subscription that has not been forgotten. */
function marksOf(chain: number, over: readonly Over[]): { c: number; i: number; n: number }[] {
  const marks = new Map<number, number>()
  for (const { subscription, interval } of over)
    marks.set(subscription, Math.max(marks.get(subscription) ?? 0, interval + 1))
  return [...marks].map(([i, n]) => ({ c: chain, i, n }))
}
