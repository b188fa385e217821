import { type Address, encodeFunctionData, type Hex, isAddressEqual, parseEventLogs } from 'viem'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { InfernetError } from '../error.ts'
import { senderOf, type WalletChain } from './chain.ts'
import { type FactoryPlace, factoryAt, isMadeBy } from './factory.ts'
import { ownerOf } from './owner.ts'
import { transact } from './transact.ts'

/** `owner`: absent: the signer's account. Another one's key is needed to approve and to withdraw. */
export type NewWallet = FactoryPlace & { owner?: Address | undefined }

export type CreatedWallet = { wallet: Address; owner: Address; factory: Address; hash: Hex; block: bigint }

/**
 * Has a factory make a wallet. Its address is the one that the factory's event names, and the factory and the wallet agree.
 * @throws InfernetError as `transact` does; `invalid_request` when there is no factory.
 */
export async function createWallet(chain: WalletChain, asked: NewWallet): Promise<CreatedWallet> {
  const { owner = senderOf(chain).address } = asked
  const factory = await factoryAt(chain, asked)
  // An account without code takes any transaction, and makes nothing of it.
  await isMadeBy(chain, { factory, wallet: factory })
  const data = encodeFunctionData({ abi: walletFactoryAbi, functionName: 'createWallet', args: [owner] })
  const { logs, transactionHash: hash, blockNumber: block } = await transact(chain, { to: factory, data })
  const [created] = parseEventLogs({ abi: walletFactoryAbi, eventName: 'WalletCreated', logs }).filter(log =>
    isAddressEqual(log.address, factory),
  )
  if (!created) throw unmade(`${factory} has told of no wallet`, hash)
  const { wallet } = created.args
  const isValid = await isMadeBy(chain, { factory, wallet, block })
  const isOwned = isAddressEqual(await ownerOf(chain, wallet, block), owner)
  if (!isValid || !isOwned) throw unmade(`${wallet} is no wallet of ${factory} and ${owner}`, hash)
  return { wallet, owner, factory, hash, block }
}

function unmade(message: string, hash: Hex): InfernetError {
  return new InfernetError(message, { status: null, code: 'bad_answer', params: { hash } })
}
