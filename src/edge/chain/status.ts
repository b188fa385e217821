import type { Block, Chain, Contracts, Status } from './chain.ts'

/** What is asked of a chain: the statuses of these subscriptions, as they are at `block`. */
export type StatusQuestion = {
  chain: Chain
  contracts: Contracts
  ids: readonly number[]
  block: Block
}

/**
 * `statuses` without subscriptions that do not exist. `failed`: those that cannot be read. `unasked`: those that there was no time for; the
 * rest is whole.
 */
export type Statuses = { statuses: Map<number, Status>; failed: number[]; unasked: number[] }

/** Bytes of an input, at most: what our Reader gives. */
export const maxInputBytes = 65_440

/** `end`: below it each subscription is there, and an answer without it is not believed; absent: nothing is known of it. */
export type SizedQuestion = StatusQuestion & { size: number; end?: number }
export type SizedStatuses = Statuses & { halved: boolean }

type Counted = Pick<Status, 'interval' | 'count' | 'responded'> & { subscription: { redundancy: number } }

/** Whether this node may still answer. */
export function isWanted({ subscription, interval, count, responded }: Counted): boolean {
  return interval > 0 && !responded && count < subscription.redundancy
}
