import { type Address, zeroAddress } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { invalid } from '../error.ts'
import { asked, told, type WalletChain } from './chain.ts'
import { type FactoryPlace, factoryAt, isMadeBy } from './factory.ts'
import { ownerOf } from './owner.ts'
import { balanceOf, checkToken, decimalsOf, symbolOf } from './token.ts'

/** `token`: absent: ETH. `place`: who would have made it; absent: that is not asked. */
export type WalletQuestion = {
  wallet: Address
  token?: Address | undefined
  place?: FactoryPlace | undefined
}

/**
 * A wallet at one block. `isValid`: the factory has made it, so that it can pay and be paid; null: not asked. Amounts: base units; of what is
 * locked null where the wallet does not tell it, as those of the first deployments. `decimals`, `symbol`: null: the token does not tell.
 */
export type WalletReport = {
  wallet: Address
  owner: Address
  isValid: boolean | null
  token: Address
  decimals: number | null
  symbol: string | null
  total: bigint
  locked: bigint | null
  unlocked: bigint | null
  block: bigint
}

/** @throws InfernetError `invalid_request` when there is no wallet, no token, no factory; `bad_answer`. */
export async function report(
  chain: WalletChain,
  { wallet, token = zeroAddress, place }: WalletQuestion,
): Promise<WalletReport> {
  const { reads } = chain
  const block = await asked(chain, reads.getBlockNumber({ cacheTime: 0 }))
  const owner = await ownerOf(chain, wallet, block)
  await checkToken(chain, token)
  const factory = place === undefined ? null : await factoryAt(chain, place)
  const contract = { address: wallet, abi: walletAbi, args: [token], blockNumber: block } as const
  const [total, locked, unlocked, decimals, symbol, isValid] = await Promise.all([
    balanceOf(chain, { token, account: wallet, block }),
    told(chain, reads.readContract({ ...contract, functionName: 'lockedBalance' })),
    told(chain, reads.readContract({ ...contract, functionName: 'unlockedBalance' })),
    decimalsOf(chain, token),
    symbolOf(chain, token),
    factory === null ? null : isMadeBy(chain, { factory, wallet, block }),
  ])
  if (total === null) throw invalid(`The token ${token} does not say what the wallet has`)
  return { wallet, owner, isValid, token, decimals, symbol, total, locked, unlocked, block }
}
