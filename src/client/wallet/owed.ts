import { type Address, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { told, type WalletChain } from './chain.ts'
import { ownerOf } from './owner.ts'

/** What a wallet could not send, since the token refused. `to`: another wallet, mostly. `token`: absent: ETH. */
export type Debt = { wallet: Address; to: Address; token?: Address | undefined }

/**
 * Base units that a wallet owes. Those of the first deployments owe nothing: there the verdict fails.
 * @throws InfernetError `invalid_request` when there is no wallet.
 */
export async function owed(chain: WalletChain, { wallet, to, token = zeroAddress }: Debt): Promise<bigint> {
  const question = { address: wallet, abi: walletAbi, functionName: 'owed' } as const
  const amount = await told(chain, chain.reads.readContract({ ...question, args: [token, to] }))
  if (amount !== null) return amount
  await ownerOf(chain, wallet)
  return 0n
}
