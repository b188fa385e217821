import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'

/** A subscription's row as it was read: what a write expects. */
export type Read = { id: number; dueAt: number; nextInterval: number; seenHash: string }

/** What a row is to be. */
export type Move = Read & {
  state: 'active' | 'refused' | 'ended'
  /** Unix seconds of block time; null: never. */
  due: number | null
  next: number
  tries: number
  reason: string | null
  message: string | null
  params: Record<string, unknown> | null
  /** Under this policy alone; null: under any. */
  epoch: number | null
  /** Only if this interval has a delivery; null: nothing was begun. */
  begun: number | null
  /** Block by which it was decided, where that is not the one that is believed. */
  decided: number | null
}

/** Whether a subscription is as it was read: `value` is a JSON object with `i`, `d0`, `n0` and `h`. */
export function asRead(chain: number): SQL {
  return sql`exists (select 1 from subscriptions as seen where seen.chain = ${chain} and seen.id = value ->> 'i'
    and +seen.state = 'active' and seen.due_at = value ->> 'd0' and seen.next_interval = value ->> 'n0' and seen.seen_hash = value ->> 'h')`
}

export function readItem({ id, dueAt, nextInterval, seenHash }: Read) {
  return { i: id, d0: dueAt, n0: nextInterval, h: seenHash }
}

export type MoveOptions = {
  chain: number
  /** Height of the block that is believed. */
  block: number
  moves: readonly Move[]
}

/** Moves subscriptions on that are as they were read, never to an interval that is forgotten. A statement; it returns the ids of those moved. */
export function moveOn({ orm, now }: Db, { chain, block, moves }: MoveOptions) {
  const items = JSON.stringify(
    moves.map(move => ({
      ...readItem(move),
      c: chain,
      s: move.state,
      d: move.due,
      n: move.next,
      t: move.tries,
      r: move.reason,
      m: move.message,
      p: move.params && JSON.stringify(move.params),
      e: move.epoch,
      b: move.begun,
      k: move.begun === null ? (move.decided ?? block) : null,
    })),
  )
  // The chain comes with each item: were it given once, SQLite might rather look through all of the chain for each.
  return orm.all<{ id: number }>(sql`
    update subscriptions set state = item.value ->> 's', due_at = item.value ->> 'd',
      next_interval = max(item.value ->> 'n', floor_interval), kept_since = iif(item.value ->> 's' = 'ended' or item.value ->> 's' = 'refused' and subscriptions.id < 0, ${now}, null),
      tries = item.value ->> 't', reason = item.value ->> 'r', message = item.value ->> 'm', params = item.value ->> 'p',
      epoch = coalesce(item.value ->> 'e', epoch), decided_block = item.value ->> 'k'
    from json_each(${items}) as item
    where subscriptions.chain = item.value ->> 'c' and subscriptions.id = item.value ->> 'i' and +subscriptions.state = 'active'
      and subscriptions.due_at = item.value ->> 'd0' and subscriptions.next_interval = item.value ->> 'n0'
      and subscriptions.seen_hash = item.value ->> 'h'
      and (item.value ->> 'e' is null or item.value ->> 'e' = (select epoch from policy))
      and (item.value ->> 'b' is null or exists (select 1 from deliveries
        where deliveries.chain = ${chain} and deliveries.subscription = subscriptions.id and deliveries.interval = item.value ->> 'b'))
    returning subscriptions.id`)
}
