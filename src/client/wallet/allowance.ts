import { type Address, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { told, type WalletChain } from './chain.ts'
import { ownerOf } from './owner.ts'

/** `token`: absent: ETH. */
export type Spending = { wallet: Address; spender: Address; token?: Address | undefined }

/**
 * Base units that the coordinator may still pay out of a wallet in a spender's name. `block`: the newest unless given.
 * @throws InfernetError `invalid_request` when there is no wallet.
 */
export async function allowance(
  chain: WalletChain,
  { wallet, spender, token = zeroAddress, block }: Spending & { block?: bigint },
): Promise<bigint> {
  const at = block === undefined ? {} : { blockNumber: block }
  const question = { address: wallet, abi: walletAbi, functionName: 'allowance' } as const
  const left = await told(chain, chain.reads.readContract({ ...question, args: [spender, token], ...at }))
  if (left !== null) return left
  await ownerOf(chain, wallet)
  return 0n
}
