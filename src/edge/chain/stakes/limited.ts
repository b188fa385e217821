import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import { mostAtStake } from '../guard/verifiers.ts'
import type { Computed } from '../outbox/computed.ts'
import type { Step } from '../step.ts'
import { pairOf } from './judges.ts'
import { readStakes, riskOf, type Stake } from './staked.ts'

/**
 * Which answers would have more at stake with a verifier than the node risks on it, beside what is locked and on its way. What is begun keeps within that,
 * but a reorganisation may bring back what was judged, or given up, and the configuration may be another since. Two statements where
 * stakes are limited, else none.
 */
export async function overstaked<Answer extends Computed>(
  step: Pick<Step, 'db' | 'chain'>,
  answers: readonly Answer[],
): Promise<ReadonlySet<Answer>> {
  const { id, guard } = step.chain.config
  const staked = answers.filter(({ stake }) => stake !== null)
  if (guard.verifiers === null || staked.length === 0) return new Set()
  const [{ locked }, sending] = await Promise.all([readStakes(step.db, id), readSending(step.db, id)])
  const risked = riskOf([...locked, ...sending])
  const added = new Map<string, bigint>()
  const over = new Set<Answer>()
  for (const answer of staked) {
    if (answer.stake === null) continue
    const { verifier, token: paymentToken, amount } = answer.stake
    const pair = { verifier, paymentToken }
    const before = added.get(pairOf(pair)) ?? 0n
    const most = mostAtStake(guard.verifiers, pair)
    if (most !== null && risked(pair) + before + amount > most) over.add(answer)
    else added.set(pairOf(pair), before + amount)
  }
  return over
}

type Row = { token: Address; verifier: Address | null; stake: string }

/** What transactions on their way will lock. */
async function readSending({ orm }: Step['db'], chain: number): Promise<Stake[]> {
  const rows = await orm.all<Row>(sql`
    select d.stake_token as token, d.stake_verifier as verifier, d.stake from transactions t indexed by transactions_open
      cross join deliveries d indexed by deliveries_tx on d.tx = t.id and d.state = 'sending' and d.stake_token is not null
    where t.chain = ${chain} and t.state in ('signed', 'sent')`)
  return rows.map(({ token, verifier, stake }) => ({ token, verifier, amount: BigInt(stake), wallet: null }))
}
