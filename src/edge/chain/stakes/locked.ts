import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { Db } from '../../db/open.ts'
import type { Stake } from './staked.ts'

/** Of `stake_sums`. `amounts`: its columns of twelve digits, the last digits first; more than a number holds. */
export type LockedRow = {
  token: Address
  verifier: Address | ''
  wallet: Address | ''
  proofs: number
  amounts: string
}

const digits = 10n ** 12n

/** What waits for verdicts: a row for each verifier and wallet, however many proofs there are. A statement. */
export function selectLocked({ orm }: Db, chain: number) {
  return orm.all<LockedRow>(sql`
    select token, verifier, wallet, proofs, amount0 || ' ' || amount1 || ' ' || amount2 || ' ' || amount3 || ' ' || amount4 || ' ' || amount5 || ' ' || amount6 as amounts
    from stake_sums indexed by sqlite_autoindex_stake_sums_1 where chain = ${chain}`)
}

export function toLocked({ token, verifier, wallet, proofs: count, amounts }: LockedRow): Stake {
  const amount = amounts.split(' ').reduceRight((sum, column) => sum * digits + BigInt(column), 0n)
  return { token, verifier: verifier || null, wallet: wallet || null, amount, count }
}
