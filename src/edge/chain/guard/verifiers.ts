import { type Address, zeroAddress } from 'viem'
import type { Subscription } from '../chain.ts'

/** Whose verdicts are trusted, and what is risked on each at one time in base units, by token; null: anybody's, and whatever it takes. Addresses in lower case. */
export type Verifiers = ReadonlyMap<Address, ReadonlyMap<Address, bigint>> | null

/** Why the proof of a subscription is nothing to stake money on; null: it is, or none is asked for. */
export type VerifierFlaw = {
  code: 'verifier_not_accepted' | 'stake_too_high'
  message: string
  params: Record<string, unknown>
}

/** Base units that may be at stake with a verifier and token at one time, whoever asks; null: whatever there is. */
export function mostAtStake(
  verifiers: Verifiers,
  { verifier, paymentToken }: Pick<Subscription, 'verifier' | 'paymentToken'>,
): bigint | null {
  return verifiers === null ? null : (verifiers.get(verifier)?.get(paymentToken) ?? 0n)
}

/** For the operator as well, who has to name it there. */
const notAccepted =
  'Verifier not accepted: the node’s configuration of this chain does not name it in "verifiers"'

/** A node locks the price of an answer until its verifier has judged. What is not listed in a token is nothing. */
export function verifierFlaw(verifiers: Verifiers, subscription: Subscription): VerifierFlaw | null {
  const { verifier, paymentAmount, paymentToken } = subscription
  if (verifiers === null || verifier === zeroAddress) return null
  if (!verifiers.has(verifier))
    return { code: 'verifier_not_accepted', message: notAccepted, params: { verifier } }
  const most = mostAtStake(verifiers, subscription) ?? 0n
  if (paymentAmount <= most) return null
  const params = {
    verifier,
    token: paymentToken,
    stake: String(paymentAmount),
    most: String(most),
  }
  return { code: 'stake_too_high', message: 'Stake above what is risked on the verifier', params }
}
