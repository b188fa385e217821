import {
  type Address,
  erc20Abi,
  type Hex,
  isAddressEqual,
  parseEventLogs,
  type TransactionReceipt,
  zeroAddress,
} from 'viem'
import { InfernetError } from '../error.ts'
import type { WalletChain } from './chain.ts'
import { balanceOf } from './token.ts'

/** `amount`: that was sent, in base units. `arrived`: less where the token keeps some; null: it is not told. `block`: it is mined in. */
export type Moved = { amount: bigint; arrived: bigint | null; hash: Hex; block: bigint }

type Moving = { token: Address; to: Address; amount: bigint }

/**
 * What has come of it. Of a token: what its own log says of the receiver, in this transaction alone; of one that logs nothing of it, what the receiver has
 * more than a block before, other transfers of that block included.
 * @throws InfernetError `reverted` when nothing has.
 */
export async function movedBy(
  chain: WalletChain,
  { transactionHash: hash, blockNumber: block, logs }: TransactionReceipt,
  { token, to: account, amount }: Moving,
): Promise<Moved> {
  if (token === zeroAddress) return { amount, arrived: amount, hash, block }
  const arrived = logged(logs, { token, account }) ?? (await difference(chain, { token, account, block }))
  if (arrived === 0n && amount > 0n)
    throw new InfernetError('The token took the transaction, and moved nothing', {
      status: null,
      code: 'reverted',
      params: { hash },
    })
  return { amount, arrived, hash, block }
}

/** What came less what went again: some tokens take their part from who gets it. null: the log has nothing of it. */
function logged(
  logs: TransactionReceipt['logs'],
  { token, account }: { token: Address; account: Address },
): bigint | null {
  const own = logs.filter(({ address }) => isAddressEqual(address, token))
  const transfers = parseEventLogs({ abi: erc20Abi, eventName: 'Transfer', logs: own })
    .map(({ args }) => args)
    .filter(({ from, to }) => isAddressEqual(from, account) || isAddressEqual(to, account))
  if (transfers.length === 0) return null
  return transfers.reduce((sum, { from, to, value }) => {
    const came = isAddressEqual(to, account) ? value : 0n
    const went = isAddressEqual(from, account) ? value : 0n
    return sum + came - went
  }, 0n)
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
