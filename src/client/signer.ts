import type { Address, Hex, TypedDataDefinition } from 'viem'
import { serializeTypedData } from 'viem/utils'
import type { DataTypedData } from '../protocol/data-signature.ts'
import type { DelegationTypedData } from '../protocol/typed-data.ts'
import { InfernetError } from './error.ts'

/** What is signed: a subscription, or data for one. */
type ToBeSigned = DelegationTypedData | DataTypedData

/**
 * Who signs: an account of viem, a wallet client of viem with an account, or a wallet in the browser (EIP-1193) with the address that is
 * to sign.
 */
export type Signer =
  | { address: Address; signTypedData(typedData: TypedDataDefinition): Promise<Hex> }
  | { account: { address: Address }; signTypedData(typedData: TypedDataDefinition): Promise<Hex> }
  | { address: Address; provider: Provider }

/** As `window.ethereum`. */
export type Provider = { request(args: { method: string; params: unknown[] }): Promise<unknown> }

export function addressOf(signer: Signer): Address {
  return 'address' in signer ? signer.address : signer.account.address
}

/** @returns whatever the wallet gives. @throws InfernetError `not_signed` when it gives nothing, as when its user refuses. */
export async function askToSign(signer: Signer, typedData: ToBeSigned): Promise<unknown> {
  try {
    return 'provider' in signer
      ? await signer.provider.request(requestOf(signer.address, typedData))
      : await signer.signTypedData(typedData)
  } catch (cause) {
    throw new InfernetError('The wallet did not sign', { status: null, code: 'not_signed', cause })
  }
}

/** Wallets want the domain's type, too, and JSON. */
const domainType = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
]

function requestOf(from: Address, { domain, types, primaryType, message }: ToBeSigned) {
  const all = { EIP712Domain: domainType, ...types }
  const text = serializeTypedData<Record<string, unknown>, string>({
    domain,
    types: all,
    primaryType,
    message,
  })
  return { method: 'eth_signTypedData_v4', params: [from, text] }
}
