import { type SQL, sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import { type Address, type Hex, keccak256 } from 'viem'
import type { SignableTransaction } from '../chain.ts'
import type { Step } from '../step.ts'
import type { Sending } from './broadcast.ts'
import type { Fees } from './fees.ts'
import type { TransactionKind } from './open.ts'

/** What is to be signed for a nonce. `gas`: its limit. `deadline`: unix seconds of block time from which on mining it is for nothing; null: none. */
export type Signable = {
  kind: TransactionKind
  nonce: number
  to: Address
  data: Hex
  gas: number
  fees: Fees
  deadline?: number | null
}

/** What was signed. `isStored`: SQL that holds in the batch of `storeSigned`, behind its statements, if they have stored it. */
export type Signed = Signable & Sending & { isStored: SQL }

/** Signs a transaction that nobody knows of until it is stored. */
export async function sign({ chain: { config, signer } }: Step, signable: Signable): Promise<Signed> {
  const raw = await signer.signTransaction(toTransaction({ chainId: config.id, ...signable }))
  const id = uuidv7()
  const isStored = sql`exists (select 1 from transactions where id = ${id})`
  return { ...signable, id, hash: keccak256(raw), raw, isStored }
}

/** Statements that write it down with what was signed, if `where` holds and its nonce is free. The first returns a row if so. */
export function storeSigned(
  { db: { orm, now }, chain: { config, signer } }: Step,
  signed: Signed,
  where: SQL,
) {
  const { id, kind, nonce, to, data, gas, fees, deadline = null, hash, raw, isStored } = signed
  return [
    orm.all(sql`
      insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, deadline, created_at, data)
      select ${id}, ${config.id}, ${signer.address}, ${nonce}, 'signed', ${kind}, ${to}, ${gas}, ${deadline}, ${now}, ${data} where ${where}
      on conflict do nothing returning id`),
    // The same may have been signed for one that was given up: it is this one's, as its nonce is.
    orm.run(sql`
      insert into raws (hash, tx, seq, max_fee, priority_fee, created_at, raw)
      select ${hash}, ${id}, 0, ${String(fees.maxFeePerGas)}, ${String(fees.maxPriorityFeePerGas)}, ${now}, ${raw} where ${isStored}
      on conflict (hash) do update set tx = excluded.tx, seq = excluded.seq`),
  ] as const
}

export type TransactionOptions = Pick<Signable, 'nonce' | 'to' | 'data' | 'gas' | 'fees'> & {
  chainId: number
}

export function toTransaction({
  chainId,
  nonce,
  to,
  data,
  gas,
  fees,
}: TransactionOptions): SignableTransaction {
  return { type: 'eip1559', chainId, nonce, to, data, value: 0n, gas: BigInt(gas), ...fees }
}
