import { type Address, isAddressEqual } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { invalid } from '../error.ts'
import { senderOf, told, type WalletChain } from './chain.ts'

/** @throws InfernetError `invalid_request` where there is no wallet: what is sent there would be lost. */
export async function ownerOf(chain: WalletChain, wallet: Address, block?: bigint): Promise<Address> {
  const question = { address: wallet, abi: walletAbi, functionName: 'owner' } as const
  const at = block === undefined ? {} : { blockNumber: block }
  const owner = await told(chain, chain.reads.readContract({ ...question, ...at }))
  if (owner === null) throw invalid(`There is no wallet at ${wallet}: nothing there has an owner()`)
  return owner
}

/** @throws InfernetError `invalid_request` when the signer's account is not the wallet's owner. */
export async function checkOwner(chain: WalletChain, wallet: Address): Promise<void> {
  const { address } = senderOf(chain)
  const owner = await ownerOf(chain, wallet)
  if (isAddressEqual(owner, address)) return
  throw invalid(`The owner of ${wallet} is ${owner}, the key is that of ${address}`)
}
