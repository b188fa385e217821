import { sql } from 'drizzle-orm'
import type { ProofsAtStake } from '../../../protocol/proof.ts'
import type { Db } from '../../db/open.ts'
import { type LockedRow, toLocked } from '../stakes/locked.ts'

/** What waits for verdicts, by chain: of the sums that are kept, so as much work as there are verifiers and wallets, however many proofs. One statement. */
export async function readProofsAtStake(
  { orm }: Db,
  chains: readonly number[],
): Promise<(chain: number) => ProofsAtStake> {
  if (chains.length === 0) return () => ({ pending: 0, at_stake: [] })
  const amounts = sql.raw([0, 1, 2, 3, 4, 5, 6].map(column => `sum(amount${column})`).join(` || ' ' || `))
  const rows = await orm.all<LockedRow & { chain: number }>(sql`
    select sums.chain, token, '' as verifier, '' as wallet, sum(proofs) as proofs, ${amounts} as amounts
    from json_each(${JSON.stringify(chains)}) as asked
    cross join stake_sums as sums on sums.chain = asked.value
    group by sums.chain, token order by sums.chain, token`)
  return chain => {
    const stakes = rows.filter(row => row.chain === chain).map(toLocked)
    return {
      pending: stakes.reduce((sum, { count }) => sum + count, 0),
      at_stake: stakes.map(({ token, amount }) => ({ token, amount: String(amount) })),
    }
  }
}
