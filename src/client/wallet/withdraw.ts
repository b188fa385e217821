import { type Address, encodeFunctionData, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { senderOf, type WalletChain } from './chain.ts'
import { type Moved, movedBy } from './moved.ts'
import { checkOwner } from './owner.ts'
import { type Sum, sumIn } from './sum.ts'
import { checkToken } from './token.ts'
import { transact } from './transact.ts'

/** `token`: absent: ETH. */
export type Withdrawal = { wallet: Address; amount: Sum; token?: Address | undefined }

/**
 * Sends what is not locked in a wallet to its owner, who alone may.
 * @throws InfernetError as `transact` does; `invalid_request` when the signer is not the owner, or there is no wallet, or no token.
 */
export async function withdraw(
  chain: WalletChain,
  { wallet, amount: sum, token = zeroAddress }: Withdrawal,
): Promise<Moved> {
  await checkOwner(chain, wallet)
  await checkToken(chain, token)
  const amount = await sumIn(chain, { amount: sum, token })
  const data = encodeFunctionData({ abi: walletAbi, functionName: 'withdraw', args: [token, amount] })
  const receipt = await transact(chain, { to: wallet, data })
  return await movedBy(chain, receipt, { token, to: senderOf(chain).address, amount })
}
