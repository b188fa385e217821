import type { Address, ContractFunctionReturnType } from 'viem'
import type { readerAbi } from '../../protocol/abi/reader.ts'
import type { Subscription } from './chain.ts'

type Told = ContractFunctionReturnType<typeof readerAbi, 'view', 'readSubscriptionBatch'>[number]
type Terms = ContractFunctionReturnType<typeof readerAbi, 'view', 'readStatusBatch'>[number]['terms']

/** Those of the first deployments' subscriptions. */
export const noTerms: Terms = {
  expiresAt: 0,
  maxFee: 0,
  prepaid: false,
  committed: false,
  refundOnSilence: false,
}

/** A subscription as contracts tell it, with addresses as we compare them. */
export function toSubscription(id: number, told: Told, terms: Terms): Subscription {
  return {
    id,
    owner: lower(told.owner),
    activeAt: told.activeAt,
    period: told.period,
    frequency: told.frequency,
    redundancy: told.redundancy,
    containerId: told.containerId,
    lazy: told.lazy,
    verifier: lower(told.verifier),
    paymentAmount: told.paymentAmount,
    paymentToken: lower(told.paymentToken),
    wallet: lower(told.wallet),
    expiresAt: terms.expiresAt,
    maxFee: terms.maxFee,
    prepaid: terms.prepaid,
    committed: terms.committed,
  }
}

function lower(address: Address): Address {
  return address.toLowerCase() as Address
}
