import { encodeFunctionData, type Hex, isAddressEqual, parseEventLogs, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { InfernetError } from '../error.ts'
import type { Spending } from './allowance.ts'
import type { WalletChain } from './chain.ts'
import { checkOwner } from './owner.ts'
import { type Sum, sumIn } from './sum.ts'
import { checkToken } from './token.ts'
import { transact } from './transact.ts'

export type Approved = { amount: bigint; hash: Hex; block: bigint }

/**
 * Sets, and does not add to, what may be paid out of a wallet in a spender's name: of a consumer's wallet its contract, of a node's the node's
 * own account, which stakes from it. The owner alone may.
 * @throws InfernetError as `transact` does; `invalid_request` when the signer is not the owner, or there is no wallet, or no token.
 */
export async function approve(
  chain: WalletChain,
  { wallet, spender, token = zeroAddress, amount: sum }: Spending & { amount: Sum },
): Promise<Approved> {
  await checkOwner(chain, wallet)
  await checkToken(chain, token)
  const amount = await sumIn(chain, { amount: sum, token })
  const data = encodeFunctionData({ abi: walletAbi, functionName: 'approve', args: [spender, token, amount] })
  const { logs, transactionHash: hash, blockNumber: block } = await transact(chain, { to: wallet, data })
  // The allowance itself may have been drawn on in the same block.
  const isSet = parseEventLogs({ abi: walletAbi, eventName: 'Approval', logs }).some(
    ({ address, args }) =>
      isAddressEqual(address, wallet) &&
      isAddressEqual(args.spender, spender) &&
      isAddressEqual(args.token, token) &&
      args.amount === amount,
  )
  if (isSet) return { amount, hash, block }
  throw new InfernetError('Allowance is not equal to the amount set', {
    status: null,
    code: 'bad_answer',
    params: { hash },
  })
}
