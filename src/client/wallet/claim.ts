import { encodeFunctionData, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { invalid } from '../error.ts'
import type { WalletChain } from './chain.ts'
import { type Moved, movedBy } from './moved.ts'
import { type Debt, owed } from './owed.ts'
import { checkToken } from './token.ts'
import { transact } from './transact.ts'

/**
 * Has a wallet send what it owes, to whom it owes it. Anyone may.
 * @throws InfernetError as `transact` does, while the token refuses still; `invalid_request` when nothing is owed, or there is no wallet, or no token.
 */
export async function claim(chain: WalletChain, { wallet, to, token = zeroAddress }: Debt): Promise<Moved> {
  await checkToken(chain, token)
  const amount = await owed(chain, { wallet, to, token })
  if (amount === 0n) throw invalid(`${wallet} owes ${to} nothing of ${token}`)
  const data = encodeFunctionData({ abi: walletAbi, functionName: 'claim', args: [token, to] })
  const receipt = await transact(chain, { to: wallet, data })
  return await movedBy(chain, receipt, { token, to, amount })
}
