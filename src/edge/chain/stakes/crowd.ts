import type { Address } from 'viem'
import type { Subscription } from '../chain.ts'
import type { Stake } from './staked.ts'

/**
 * Proofs that may be without a verdict at one time, of a chain and of one verifier on it, so that one that is silent leaves room for others. Each is a
 * row and a look an hour; and, where nobody judges, a transaction of the node's a week later, which a consumer has for its price, or for nothing.
 */
const maxPending = 100_000
const maxPendingOfVerifier = 50_000

/** Counts answers that are to have a verdict: what is at stake for them, and what is added to it. */
export function createCrowd(stakes: readonly Stake[]) {
  const counts = new Map<Address | null, number>()
  let all = 0
  const count = (verifier: Address | null, more: number) => {
    counts.set(verifier, (counts.get(verifier) ?? 0) + more)
    all += more
  }
  for (const stake of stakes) count(stake.verifier, stake.count)
  return {
    isFull({ verifier }: Subscription): boolean {
      return all >= maxPending || (counts.get(verifier) ?? 0) >= maxPendingOfVerifier
    },
    add({ verifier }: Subscription): void {
      count(verifier, 1)
    },
  }
}
