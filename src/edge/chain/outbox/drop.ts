import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import type { Block } from '../chain.ts'
import { lookAgain } from '../delegated/link.ts'
import { isUncreated } from '../delegated/signed.ts'
import { countDropped } from '../guard/record.ts'
import { noteBlock } from '../journal.ts'
import type { Key } from './computed.ts'

export type Dropped = Key & {
  reason: string
  message: string
  /** Who asked, where the chain would not take it once it was computed. */
  refused?: string
}

export type DropOptions = {
  chain: number
  dropped: readonly Dropped[]
  /** By whose state: were it undone, they would be computed again; null: it is the answers' own fault. */
  block: Block | null
}

/** Gives answers up that have no transaction. */
export async function dropDeliveries(db: Db, { chain, dropped, block }: DropOptions): Promise<void> {
  const { orm } = db
  if (dropped.length === 0) return
  const items = dropped.map(({ subscription, interval, reason, message }) => ({
    c: chain,
    s: subscription,
    i: interval,
    r: reason,
    m: message,
  }))
  const refused = dropped.flatMap(({ subscription, interval, refused: owner }) =>
    owner === undefined ? [] : [{ subscription, interval, owner }],
  )
  await orm.batch([
    ...countDropped(db, { chain, block: block?.number ?? 0, dropped: refused }),
    orm.run(sql`
      update deliveries set state = 'dropped', reason = item.value ->> 'r', message = item.value ->> 'm', call = null,
        dropped_block = ${block?.number ?? null}
      from json_each(${JSON.stringify(items)}) as item
      where deliveries.chain = item.value ->> 'c' and subscription = item.value ->> 's' and interval = item.value ->> 'i' and +state = 'computed'`),
    // What was to be created may have been meanwhile, or cannot be any more.
    ...dropped
      .filter(({ subscription }) => block !== null && isUncreated({ id: subscription }))
      .map(({ subscription }) => lookAgain(db, { chain, place: -subscription, guard: sql`true` })),
    ...(block === null ? [] : [noteBlock(db, { chain, block })]),
  ])
}

/** `counts`: whether it was a try; else nobody has said anything of the answer. */
export type Postponed = Dropped & { afterMs: number; counts: 0 | 1 }

/** Has answers tried again later. */
export async function postponeDeliveries(
  { orm, now }: Db,
  { chain, postponed }: { chain: number; postponed: readonly Postponed[] },
): Promise<void> {
  if (postponed.length === 0) return
  const items = postponed.map(({ subscription, interval, reason, message, afterMs, counts }) => ({
    c: chain,
    s: subscription,
    i: interval,
    r: reason,
    m: message,
    a: afterMs,
    t: counts,
  }))
  await orm.run(sql`
    update deliveries set reason = item.value ->> 'r', message = item.value ->> 'm', tries = tries + (item.value ->> 't'),
      not_before = ${now} + (item.value ->> 'a')
    from json_each(${JSON.stringify(items)}) as item
    where deliveries.chain = item.value ->> 'c' and subscription = item.value ->> 's' and interval = item.value ->> 'i' and +state = 'computed'`)
}
