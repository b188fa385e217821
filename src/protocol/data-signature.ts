import type { Address, Hex } from 'viem'
import { hashTypedData, keccak256, stringToBytes } from 'viem/utils'
import type { Domain } from './typed-data.ts'

const types = {
  DelegateData: [
    { name: 'owner', type: 'address' },
    { name: 'nonce', type: 'uint32' },
    { name: 'dataHash', type: 'bytes32' },
  ],
} as const

/** Which request data is for. `data`: its JSON text as it stands in the body, from brace to brace. */
export type SignedData = { owner: Address; nonce: number; data: string }

/**
 * What a signer signs beside the subscription, so that nobody sends other data with it: the subscription's own signature (reference
 * contracts 6) does not cover any. In the coordinator's domain, although the coordinator never sees it.
 */
export function dataTypedDataOf({ chainId, coordinator }: Domain, { owner, nonce, data }: SignedData) {
  return {
    domain: { name: 'InfernetCoordinator', version: '1', chainId, verifyingContract: coordinator },
    types,
    primaryType: 'DelegateData',
    message: { owner, nonce, dataHash: keccak256(stringToBytes(data)) },
  } as const
}
export type DataTypedData = ReturnType<typeof dataTypedDataOf>

/** The hash that is signed. */
export function dataDigestOf(domain: Domain, signed: SignedData): Hex {
  return hashTypedData(dataTypedDataOf(domain, signed))
}
