import { type Address, zeroAddress } from 'viem'
import type { Subscription } from '../chain.ts'

/** Whose verdicts are trusted, and what is risked on each in base units, by token; null: anybody's, and whatever it takes. Addresses in lower case. */
export type Verifiers = ReadonlyMap<Address, ReadonlyMap<Address, bigint>> | null

/** Why the proof of a subscription is nothing to stake money on; null: it is, or none is asked for. */
export type VerifierFlaw = {
  code: 'verifier_not_accepted' | 'stake_too_high'
  message: string
  params: Record<string, unknown>
}

/** A node locks the price of an answer until its verifier has judged. What is not listed in a token is nothing. */
export function verifierFlaw(
  verifiers: Verifiers,
  { verifier, paymentAmount, paymentToken }: Subscription,
): VerifierFlaw | null {
  if (verifiers === null || verifier === zeroAddress) return null
  const stakes = verifiers.get(verifier)
  if (stakes === undefined)
    return { code: 'verifier_not_accepted', message: 'Verifier not accepted', params: { verifier } }
  const most = stakes.get(paymentToken) ?? 0n
  if (paymentAmount <= most) return null
  const params = {
    verifier,
    token: paymentToken,
    stake: String(paymentAmount),
    most: String(most),
  }
  return { code: 'stake_too_high', message: 'Stake above what is risked on the verifier', params }
}
