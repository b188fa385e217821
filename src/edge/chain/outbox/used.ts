import { type SQL, sql } from 'drizzle-orm'
import type { Address } from 'viem'

/**
 * Whether a transaction behind this nonce, or under it, is final: then the nonce is used for good, also where its row is forgotten, and
 * an endpoint that tells otherwise lags.
 */
export function isUsed({
  chain,
  signer,
  nonce,
}: {
  chain: number
  signer: Address
  nonce: number | SQL
}): SQL {
  return sql`exists (select 1 from transactions as later indexed by transactions_nonce
    where later.chain = ${chain} and later.signer = ${signer} and later.nonce >= ${nonce} and later.state <> 'displaced'
      and +later.state = 'final')`
}
