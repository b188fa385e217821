import { type SQL, sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Step } from '../step.ts'

/**
 * What was signed for a subscription that this node was asked for over HTTP, beside the subscription itself. `expiry`: unix seconds of block
 * time. `dataBytes`: of the input that came with it.
 */
export type Signed = {
  nonce: number
  expiry: number
  v: number
  r: Hex
  s: Hex
  dataBytes: number
  /** Height of the block in which it was created, as far as this node knows; null: it was not. */
  linkedBlock: number | null
}

/** Whether a reorganisation may still undo that it was created: an answer has to create it, if need be. */
export function isToCreate(
  { linkedBlock }: Signed,
  { chain, latest }: Pick<Step, 'chain' | 'latest'>,
): boolean {
  return linkedBlock === null || latest.number - linkedBlock < chain.config.reorgDepth
}

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
  'delegations.nonce as nonce, delegations.expiry as expiry, delegations.v as v, delegations.r as r, delegations.s as s, delegations.data_bytes as data_bytes, delegations.linked_block as linked_block',
)

export type SignedRow = {
  nonce: number | null
  expiry: number | null
  v: number | null
  r: Hex | null
  s: Hex | null
  data_bytes: number | null
  linked_block: number | null
}

/** Null: nobody signed anything, or somebody else was sent it. */
export function signedOf({ nonce, expiry, v, r, s, data_bytes, linked_block }: SignedRow): Signed | null {
  if (nonce === null || expiry === null || v === null || r === null || s === null) return null
  return { nonce, expiry, v, r, s, dataBytes: data_bytes ?? 0, linkedBlock: linked_block }
}
