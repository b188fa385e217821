import type { Address, ContractFunctionReturnType, Hex } from 'viem'
import { encodeAbiParameters, keccak256 } from 'viem/utils'
import type { eip712CoordinatorAbi } from './abi/eip712-coordinator.ts'
import type { DelegatedSignature, DelegatedSubscription } from './delegated.ts'

/** A subscription as the coordinator's functions take and give it. */
export type OnchainSubscription = ContractFunctionReturnType<
  typeof eip712CoordinatorAbi,
  'view',
  'getSubscription'
>

/** What a signer signs, in the names of the contract. `nonce` is the owner's, `expiry` Unix seconds of block time. */
export type Delegation = { nonce: number; expiry: number; sub: OnchainSubscription }

export function toDelegation(
  subscription: DelegatedSubscription,
  { nonce, expiry }: Pick<DelegatedSignature, 'nonce' | 'expiry'>,
): Delegation {
  const sub = {
    owner: subscription.owner,
    activeAt: subscription.active_at,
    period: subscription.period,
    frequency: subscription.frequency,
    redundancy: subscription.redundancy,
    containerId: subscription.containers,
    lazy: subscription.lazy,
    verifier: subscription.verifier,
    paymentAmount: subscription.payment_amount,
    paymentToken: subscription.payment_token,
    wallet: subscription.wallet,
  }
  return { nonce, expiry, sub }
}

/** Where the coordinator's `delegateCreatedIds` keeps what was created with a nonce (reference node 4.1). */
export function delegationKey(owner: Address, nonce: number): Hex {
  return keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'uint32' }], [owner, nonce]))
}
