import type { Db } from '../../db/open.ts'
import type { Chain } from '../chain.ts'
import { mostAtStake } from '../guard/verifiers.ts'
import { keyOf } from '../outbox/batch.ts'
import type { Computed, Key } from '../outbox/computed.ts'
import { pairOf } from './judges.ts'
import { readCommitted, riskOf } from './staked.ts'

/** `stakings`: of `Committed`, by which this was reckoned; null: nothing is limited. */
export type Overstaked<Answer> = { over: ReadonlySet<Answer>; stakings: number | null }

/**
 * Which answers would have more at stake with a verifier than the node risks on it, beside what is locked and on its way. What is begun keeps within that,
 * but a reorganisation may bring back what was judged, or given up, and the configuration may be another since. One batch where stakes are limited,
 * else none.
 */
export async function overstaked<Answer extends Key & Pick<Computed, 'stake'>>(
  step: { db: Db; chain: Pick<Chain, 'config'> },
  answers: readonly Answer[],
): Promise<Overstaked<Answer>> {
  const { id, guard } = step.chain.config
  const staked = answers.filter(({ stake }) => stake !== null)
  if (guard.verifiers === null || staked.length === 0) return { over: new Set(), stakings: null }
  const { stakes, sent, stakings } = await readCommitted(step.db, id)
  const risked = riskOf(stakes)
  const added = new Map<string, bigint>()
  const over = new Set<Answer>()
  for (const answer of staked) {
    // One that somebody else has sent meanwhile is among those.
    if (answer.stake === null || sent.has(keyOf(answer))) continue
    const { verifier, token: paymentToken, amount } = answer.stake
    const pair = { verifier, paymentToken }
    const before = added.get(pairOf(pair)) ?? 0n
    const most = mostAtStake(guard.verifiers, pair)
    if (most !== null && risked(pair) + before + amount > most) over.add(answer)
    else added.set(pairOf(pair), before + amount)
  }
  return { over, stakings }
}
