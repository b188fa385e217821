import { type Address, erc20Abi, zeroAddress } from 'viem'
import { invalid } from '../error.ts'
import { asked, told, type WalletChain } from './chain.ts'

/** ETH's, and what it is called. */
const ether = { decimals: 18, symbol: 'ETH' }

/** What of a token is shown: what it says of itself may be anything. */
const shown = /^[\x21-\x7e]{1,16}$/

/** What an account has. `block`: the newest unless given. null: the token does not say. */
export async function balanceOf(
  chain: WalletChain,
  { token, account, block }: { token: Address; account: Address; block?: bigint },
): Promise<bigint | null> {
  const { reads } = chain
  const at = block === undefined ? {} : { blockNumber: block }
  if (token === zeroAddress) return await asked(chain, reads.getBalance({ address: account, ...at }))
  return await told(
    chain,
    reads.readContract({
      address: token,
      abi: erc20Abi,
      functionName: 'balanceOf',
      args: [account],
      ...at,
    }),
  )
}

/** null: it does not tell. */
export async function decimalsOf(chain: WalletChain, token: Address): Promise<number | null> {
  if (token === zeroAddress) return ether.decimals
  return await told(
    chain,
    chain.reads.readContract({ address: token, abi: erc20Abi, functionName: 'decimals' }),
  )
}

/** null: it does not tell, or nothing that can be shown. */
export async function symbolOf(chain: WalletChain, token: Address): Promise<string | null> {
  if (token === zeroAddress) return ether.symbol
  const { reads } = chain
  // The first tokens tell 32 bytes, which do not decode.
  const symbol = await reads
    .readContract({ address: token, abi: erc20Abi, functionName: 'symbol' })
    .catch(() => null)
  return symbol !== null && shown.test(symbol) ? symbol : null
}

/** @throws InfernetError `invalid_request` where there is no contract. ETH is always there. */
export async function checkToken(chain: WalletChain, token: Address): Promise<void> {
  if (token === zeroAddress) return
  const code = await asked(chain, chain.reads.getCode({ address: token }))
  if (code === undefined) throw invalid(`There is no token at ${token}`)
}
