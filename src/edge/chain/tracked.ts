import { type SQL, sql } from 'drizzle-orm'
import type { Address, Hex } from 'viem'
import type { Subscription } from './chain.ts'
import { type Signed, type SignedRow, signedColumns, signedJoin, signedOf } from './delegated/signed.ts'

/** A subscription as it is stored, in as much as one goes on with it. */
export type Tracked = {
  subscription: Subscription
  dueAt: number | null
  nextInterval: number
  tries: number
  /** Why it waits. */
  reason: string | null
  /** Of the block at which it was first seen: another one means that it was read anew. */
  seenHash: string
  route: string | null
  /** Where this node was asked for it over HTTP. */
  signed: Signed | null
}

/** What `trackedOf` reads, with `trackedJoin`. */
export const trackedColumns: SQL = sql`${sql.raw(`subscriptions.id, due_at, next_interval, tries, subscriptions.reason, seen_hash, subscriptions.owner, active_at,
  period, frequency, redundancy, container_id, subscriptions.route, lazy, verifier, payment_amount, payment_token, wallet,
  subscriptions.expires_at, max_fee, prepaid, committed`)}, ${signedColumns}`

export const trackedJoin: SQL = signedJoin

export type TrackedRow = SignedRow & {
  id: number
  due_at: number | null
  next_interval: number
  tries: number
  reason: string | null
  seen_hash: string
  owner: Address
  active_at: number
  period: number
  frequency: number
  redundancy: number
  container_id: Hex
  route: string | null
  lazy: number
  verifier: Address
  payment_amount: string
  payment_token: Address
  wallet: Address
  expires_at: number
  max_fee: number
  prepaid: number
  committed: number
}

export function trackedOf(row: TrackedRow): Tracked {
  return {
    subscription: {
      id: row.id,
      owner: row.owner,
      activeAt: row.active_at,
      period: row.period,
      frequency: row.frequency,
      redundancy: row.redundancy,
      containerId: row.container_id,
      lazy: row.lazy === 1,
      verifier: row.verifier,
      paymentAmount: BigInt(row.payment_amount),
      paymentToken: row.payment_token,
      wallet: row.wallet,
      expiresAt: row.expires_at,
      maxFee: row.max_fee,
      prepaid: row.prepaid === 1,
      committed: row.committed === 1,
    },
    dueAt: row.due_at,
    nextInterval: row.next_interval,
    tries: row.tries,
    reason: row.reason,
    seenHash: row.seen_hash,
    route: row.route,
    signed: signedOf(row),
  }
}

/**
 * Whether two readings under one id are of the same request. Times do not tell: they change when a subscription is cancelled, and when its
 * transaction is mined again in another block.
 */
export function isSame(one: Subscription, other: Subscription): boolean {
  return identityOf(one) === identityOf(other)
}

function identityOf(subscription: Subscription): string {
  const { id, owner, period, frequency, redundancy, containerId, lazy, verifier } = subscription
  const { paymentAmount, paymentToken, wallet, maxFee, prepaid, committed } = subscription
  return [
    [id, owner, period, frequency, redundancy, containerId, lazy, verifier],
    [paymentAmount, paymentToken, wallet, maxFee, prepaid, committed],
  ].join(' ')
}
