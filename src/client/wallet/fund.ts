import {
  type Address,
  encodeFunctionData,
  erc20Abi,
  type Hex,
  hexToBigInt,
  size,
  slice,
  zeroAddress,
} from 'viem'
import { InfernetError, invalid } from '../error.ts'
import { senderOf, type Transaction, type WalletChain } from './chain.ts'
import { type Moved, movedBy } from './moved.ts'
import { ownerOf } from './owner.ts'
import { type Sum, sumIn } from './sum.ts'
import { balanceOf, checkToken } from './token.ts'
import { transact, tryOut } from './transact.ts'

/** `token`: absent: ETH. */
export type Funding = { wallet: Address; amount: Sum; token?: Address | undefined }

/**
 * Sends from the signer's account to a wallet; anyone may.
 * @throws InfernetError as `transact` does; `invalid_request` when there is no wallet, no token, or not so much of it.
 */
export async function fund(
  chain: WalletChain,
  { wallet, amount: sum, token = zeroAddress }: Funding,
): Promise<Moved> {
  await ownerOf(chain, wallet)
  await checkToken(chain, token)
  const amount = await sumIn(chain, { amount: sum, token })
  await checkFunds(chain, { token, amount })
  const transaction = transferOf({ token, to: wallet, amount })
  if (token !== zeroAddress) checkAnswer(token, await tryOut(chain, transaction))
  return await movedBy(chain, await transact(chain, transaction), { token, to: wallet, amount })
}

function transferOf({ token, to, amount }: { token: Address; to: Address; amount: bigint }): Transaction {
  if (token === zeroAddress) return { to, value: amount }
  return {
    to: token,
    data: encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [to, amount] }),
  }
}

/** Tokens that do not say what an account has are believed to have enough. */
async function checkFunds(
  chain: WalletChain,
  { token, amount }: { token: Address; amount: bigint },
): Promise<void> {
  const { address: account } = senderOf(chain)
  const has = await balanceOf(chain, { token, account })
  if (has === null || has >= amount) return
  throw invalid(`${account} has ${has} base units of ${token === zeroAddress ? 'ETH' : token}, not ${amount}`)
}

/** Nothing said counts as yes, as the contracts have it. */
function checkAnswer(token: Address, answer: Hex): void {
  if (answer === '0x') return
  if (size(answer) >= 32 && hexToBigInt(slice(answer, 0, 32)) === 1n) return
  throw new InfernetError(`The token ${token} refuses: it answers false`, { status: null, code: 'reverted' })
}
