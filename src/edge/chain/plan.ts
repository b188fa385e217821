import type { Beginning } from './begin.ts'
import type { Status } from './chain.ts'
import type { Decision } from './decide.ts'
import type { Link } from './delegated/link.ts'
import type { Move, Read } from './move.ts'
import { nextTry } from './pause.ts'
import type { Approval } from './stakes/purse.ts'
import type { Stored } from './store.ts'
import { sentenceOf } from './telling.ts'
import type { Tracked } from './tracked.ts'

export type Due = Tracked & { dueAt: number }

/** `tell`: logs it, once it is written. */
export type Planned = { move: Move; tell(): void }

/** What is to be written about due subscriptions. */
export type Plan = {
  /** What is moved on, and nothing else. */
  moves: Planned[]
  /** What the chain has by now, under its own id. */
  linked: Link[]
  /** Ids that the chain does not have any more, or has for others: what was signed is created again. */
  unlinked: { id: number; linkedBlock: number | null }[]
  /** What the chain does not have any more. */
  vanished: Planned[]
  /** What is another subscription now. */
  replaced: (Stored & { read: Read })[]
  /** Ids below 0 that are to be looked at: their nonces have created something. */
  doubtful: number[]
  /** What is to be computed. */
  begun: (Planned & { row: Due; status: Status; beginning: Beginning })[]
  /** What the node's wallet has to approve for what waits for that. */
  approvals: Approval[]
  /** How often answers with a stake were begun, when it was reckoned what these may stake; null: none of them stakes anything. */
  stakings: number | null
}

export function readOf({ subscription, dueAt, nextInterval, seenHash }: Due): Read {
  return { id: subscription.id, dueAt, nextInterval, seenHash }
}

export function ended(
  row: Due,
  { reason, message = sentenceOf(reason) }: { reason: string; message?: string },
): Move {
  return { ...unmoved(row), state: 'ended', due: null, reason, message }
}

export function later(
  row: Due,
  { interval, dueAt }: Pick<Extract<Decision, { kind: 'later' }>, 'interval' | 'dueAt'>,
): Move {
  return { ...unmoved(row), due: dueAt, next: interval, tries: 0 }
}

/**
 * `interval`: that is open; null: it is not known. `nextAt`: when there is something else to do; null: nothing. Times: unix seconds of block
 * time. Intervals before this one are missed.
 */
export function postponed(
  row: Due,
  wait: { reason: string; message: string; interval: number | null; time: number; nextAt: number | null },
): Move {
  const { reason, message, interval, time, nextAt } = wait
  const { tries: before, subscription } = row
  const next = Math.max(row.nextInterval, interval ?? 0)
  const isNew = next > row.nextInterval
  const { due, tries } = nextTry({ tries: before, time, isNew, nextAt, period: subscription.period })
  return { ...unmoved(row), due, next, tries, reason, message }
}

/** Of what nobody had time to look at: it waits once more for as long as it did, and the look was none. */
export function putOff(row: Due, wait: Parameters<typeof postponed>[1]): Move {
  const move = postponed(row, wait)
  return { ...move, tries: move.tries - 1 }
}

/** A row as it is, but for what it waited for. */
export function unmoved(row: Due): Move {
  const { dueAt, nextInterval, tries } = row
  return {
    ...readOf(row),
    state: 'active',
    due: dueAt,
    next: nextInterval,
    tries,
    reason: null,
    message: null,
    params: null,
    epoch: null,
    begun: null,
    decided: null,
  }
}
