import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { Subscription } from '../chain.ts'
import { isStaked } from '../stakes/purse.ts'
import type { Step } from '../step.ts'

/** Of a transaction that finalizes: 86,599 at most, measured at both deployments, for the first proof of all; 59,899 for the next ones. */
const finalizeGas = 90_000
const finalizeBytes = 132
/** Of the proofs that were settled last: what they tell of their verifiers is enough. */
const maxSettled = 200

type Backed = Pick<Subscription, 'verifier' | 'paymentAmount'>

/** What an answer may take once it is mined: gas, and bytes of call data. */
export type Finalizing = { gas: number; bytes: number }

const nothing: Finalizing = { gas: 0, bytes: 0 }

/**
 * What an answer may take once it is mined: on whose proof nobody gives a verdict, the node finalizes it. None where nothing is staked, or its
 * verifier has judged whatever it judged of late in the answers' own blocks. One statement, and none where nothing is staked.
 */
export async function readFinalizing(
  { db, chain }: Pick<Step, 'db' | 'chain'>,
  answers: readonly Backed[],
): Promise<(answer: Backed) => Finalizing> {
  if (!answers.some(isStaked)) return () => nothing
  const rows = await db.orm.all<{ verifier: Address }>(sql`
    select verifier from (
      select stake_verifier as verifier, looked_block = settled_block as at_once from proofs indexed by proofs_settled
      where chain = ${chain.config.id} and settled_block is not null order by settled_block desc limit ${maxSettled})
    group by verifier having min(at_once) = 1`)
  const atOnce = new Set(rows.map(({ verifier }) => verifier))
  return answer =>
    isStaked(answer) && !atOnce.has(answer.verifier) ? { gas: finalizeGas, bytes: finalizeBytes } : nothing
}
