import type { Address, Hex } from 'viem'
import { hashTypedData } from 'viem/utils'
import type { Delegation } from './delegation.ts'

/** The coordinator that a signature is for, and its chain (EIP-155): it is good for no other. */
export type Domain = { chainId: number; coordinator: Address }

/** Of EIP-712, member by member as the contract hashes them (reference contracts 6). */
const types = {
  DelegateSubscription: [
    { name: 'nonce', type: 'uint32' },
    { name: 'expiry', type: 'uint32' },
    { name: 'sub', type: 'Subscription' },
  ],
  Subscription: [
    { name: 'owner', type: 'address' },
    { name: 'activeAt', type: 'uint32' },
    { name: 'period', type: 'uint32' },
    { name: 'frequency', type: 'uint32' },
    { name: 'redundancy', type: 'uint16' },
    { name: 'containerId', type: 'bytes32' },
    { name: 'lazy', type: 'bool' },
    { name: 'verifier', type: 'address' },
    { name: 'paymentAmount', type: 'uint256' },
    { name: 'paymentToken', type: 'address' },
    { name: 'wallet', type: 'address' },
  ],
} as const

/** What a wallet is given to sign, in the form that viem's `signTypedData` and `serializeTypedData` take. */
export function typedDataOf({ chainId, coordinator }: Domain, delegation: Delegation) {
  return {
    domain: { name: 'InfernetCoordinator', version: '1', chainId, verifyingContract: coordinator },
    types,
    primaryType: 'DelegateSubscription',
    message: delegation,
  } as const
}
export type DelegationTypedData = ReturnType<typeof typedDataOf>

/** The hash that is signed. */
export function digestOf(domain: Domain, delegation: Delegation): Hex {
  return hashTypedData(typedDataOf(domain, delegation))
}
