import type { Beginning } from './begin.ts'
import type { Status } from './chain.ts'
import type { Decision } from './decide.ts'
import type { Move, Read } from './move.ts'
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
  /** What the chain does not have any more. */
  vanished: Planned[]
  /** What is another subscription now. */
  replaced: (Stored & { read: Read })[]
  /** What is to be computed. */
  begun: (Planned & { row: Due; status: Status; beginning: Beginning })[]
}

/** How long something waits that could not be begun: a block of most chains, then twice as long each time. */
const firstPauseSeconds = 5
const longestPauseSeconds = 600

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

/** `nextAt`: when there is something else to do; null: nothing. Times: unix seconds of block time. */
export function postponed(
  row: Due,
  wait: { reason: string; message: string; time: number; nextAt: number | null },
): Move {
  const { reason, message, time, nextAt } = wait
  const pause = Math.min(firstPauseSeconds * 2 ** row.tries, longestPauseSeconds)
  const due = Math.min(time + pause, nextAt ?? Number.POSITIVE_INFINITY)
  return { ...unmoved(row), due, tries: row.tries + 1, reason, message }
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
