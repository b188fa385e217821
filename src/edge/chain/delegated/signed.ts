import { type SQL, sql } from 'drizzle-orm'
import type { Hex } from 'viem'

/**
 * What was signed for a subscription that this node was asked for over HTTP, beside the subscription itself. `expiry`: unix seconds of block
 * time. `dataBytes`: of the input that came with it.
 */
export type Signed = { nonce: number; expiry: number; v: number; r: Hex; s: Hex; dataBytes: number }

/** Whether the chain does not have it yet. Until it does, a subscription is known by an id below 0. */
export function isUncreated({ id }: { id: number }): boolean {
  return id < 0
}

/** To be joined to `subscriptions`, for `signedColumns`. */
export const signedJoin: SQL = sql.raw(
  'left join delegations on delegations.chain = subscriptions.chain and delegations.subscription = subscriptions.id',
)

/** What `signedOf` reads. */
export const signedColumns: SQL = sql.raw(
  'delegations.nonce as nonce, delegations.expiry as expiry, delegations.v as v, delegations.r as r, delegations.s as s, delegations.data_bytes as data_bytes',
)

export type SignedRow = {
  nonce: number | null
  expiry: number | null
  v: number | null
  r: Hex | null
  s: Hex | null
  data_bytes: number | null
}

/** Null: nobody signed anything, or somebody else was sent it. */
export function signedOf({ nonce, expiry, v, r, s, data_bytes }: SignedRow): Signed | null {
  if (nonce === null || expiry === null || v === null || r === null || s === null) return null
  return { nonce, expiry, v, r, s, dataBytes: data_bytes ?? 0 }
}
