import type { Hex } from 'viem'
import type { DelegatedRequest } from '../../../protocol/delegated.ts'
import { toDelegation } from '../../../protocol/delegation.ts'
import { digestOf } from '../../../protocol/typed-data.ts'
import type { Subscription } from '../chain.ts'
import { noTerms } from '../subscription.ts'
import type { Door } from './door.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { Signed } from './signed.ts'

/** What a client sends to be taken on. `data`: its JSON text; `fingerprint`: of that. */
export type Asked = {
  subscription: Subscription
  signed: Signed
  digest: Hex
  data: string
  fingerprint: string
  dataSignature: Hex | null
}

/** As it is to be stored, under an id that nobody else has. */
export function toAsked(
  { chain, contracts }: Pick<Door, 'chain' | 'contracts'>,
  { request, data }: { request: DelegatedRequest; data: string },
): Asked {
  const { subscription, signature, data_signature } = request
  const delegation = toDelegation(subscription, signature)
  const { nonce, expiry, v, r, s } = signature
  const { expiresAt, maxFee, prepaid, committed } = noTerms
  const { fingerprint, bytes } = fingerprintOf(data)
  return {
    subscription: {
      id: -Math.floor(1 + Math.random() * 2 ** 45),
      ...delegation.sub,
      expiresAt,
      maxFee,
      prepaid,
      committed,
    },
    signed: { nonce, expiry, v, r, s, dataBytes: bytes, linkedBlock: null },
    digest: digestOf({ chainId: chain.config.id, coordinator: contracts.coordinator }, delegation),
    data,
    fingerprint,
    dataSignature: data_signature,
  }
}
