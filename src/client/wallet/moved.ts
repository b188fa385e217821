import { type Address, type Hex, type TransactionReceipt, zeroAddress } from 'viem'
import { InfernetError } from '../error.ts'
import type { WalletChain } from './chain.ts'
import { balanceOf } from './token.ts'

/** `amount`: that was sent, in base units. `arrived`: less where the token keeps some; null: it is not told. `block`: it is mined in. */
export type Moved = { amount: bigint; arrived: bigint | null; hash: Hex; block: bigint }

type Moving = { token: Address; to: Address; amount: bigint }

/**
 * What has come of it. Of a token: what the receiver has more than a block before, other transfers of that block included.
 * @throws InfernetError `reverted` when nothing has.
 */
export async function movedBy(
  chain: WalletChain,
  { transactionHash: hash, blockNumber: block }: TransactionReceipt,
  { token, to: account, amount }: Moving,
): Promise<Moved> {
  if (token === zeroAddress) return { amount, arrived: amount, hash, block }
  const arrived = await difference(chain, { token, account, block })
  if (arrived === 0n && amount > 0n)
    throw new InfernetError('The token took the transaction, and moved nothing', {
      status: null,
      code: 'reverted',
      params: { hash },
    })
  return { amount, arrived, hash, block }
}

async function difference(
  chain: WalletChain,
  { token, account, block }: { token: Address; account: Address; block: bigint },
): Promise<bigint | null> {
  // The transaction is done: that a node has no state of a block is no reason to say that it failed.
  const at = (number: bigint) => balanceOf(chain, { token, account, block: number }).catch(() => null)
  const [before, after] = await Promise.all([at(block - 1n), at(block)])
  return before === null || after === null ? null : after - before
}
