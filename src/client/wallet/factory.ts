import type { Address } from 'viem'
import { registryAbi } from '../../protocol/abi/registry.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { invalid } from '../error.ts'
import { told, type WalletChain } from './chain.ts'

/** Who makes wallets, or the registry that names it. */
export type FactoryPlace = { factory: Address } | { registry: Address }

/** @throws InfernetError `invalid_request` when there is no registry. */
export async function factoryAt(chain: WalletChain, place: FactoryPlace): Promise<Address> {
  if ('factory' in place) return place.factory
  const { registry } = place
  const question = { address: registry, abi: registryAbi, functionName: 'WALLET_FACTORY' } as const
  const factory = await told(chain, chain.reads.readContract(question))
  if (factory === null)
    throw invalid(`There is no registry at ${registry}: nothing there has a WALLET_FACTORY()`)
  return factory
}

/** Whether a factory has made a wallet. @throws InfernetError `invalid_request` when it is no factory. */
export async function isMadeBy(
  chain: WalletChain,
  { factory, wallet, block }: { factory: Address; wallet: Address; block?: bigint },
): Promise<boolean> {
  const question = { address: factory, abi: walletFactoryAbi, functionName: 'isValidWallet' } as const
  const at = block === undefined ? {} : { blockNumber: block }
  const isValid = await told(chain, chain.reads.readContract({ ...question, args: [wallet], ...at }))
  if (isValid === null)
    throw invalid(`There is no factory at ${factory}: nothing there has an isValidWallet()`)
  return isValid
}
