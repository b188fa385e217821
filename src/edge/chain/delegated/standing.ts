import type { Refusal } from '../../../protocol/error.ts'
import type { Asked } from './asked.ts'
import type { Known } from './store.ts'

/** What a request is to the one that its nonce has: the same; in its place, since nothing has come of that one; or a mistake. */
export type Standing = 'same' | 'instead' | Refusal

export function standingOf(known: Known, asked: Asked): Standing {
  const { owner } = asked.subscription
  const { nonce, r, s } = asked.signed
  const isSame = known.digest === asked.digest && known.fingerprint === asked.fingerprint
  const isSigned = known.r === r && known.s === s
  if (isSame && (isSigned || !known.isDead)) return 'same'
  if (known.isDead && known.dataSigned && asked.dataSignature === null) return unsigned(owner)
  if (known.isDead) return 'instead'
  if (known.digest !== asked.digest)
    return {
      code: 'nonce_used',
      error: 'The nonce was taken for another subscription',
      params: { owner, nonce },
    }
  // Whoever has the signature can send it with data of their own, until the signer has signed for some.
  if (asked.dataSignature !== null && !known.dataSigned && !known.isBegun && known.subscription < 0)
    return 'instead'
  return {
    code: 'data_conflict',
    error: 'It was taken on with other data',
    params: { owner, nonce },
  }
}

/** Its signer has bound the data of this nonce: what anybody may have put there does not take its place, whatever came of it. */
function unsigned(owner: string): Refusal {
  return { code: 'data_not_signed', error: 'The data has to be signed as well', params: { owner } }
}
