import type { Address } from 'viem'
import { parseAmount, toBase } from './amount.ts'
import type { WalletChain } from './chain.ts'
import { decimalsOf } from './token.ts'

/** Base units, or as people write it: `0.1 ether`, `1.5 token`. */
export type Sum = bigint | string

/** In base units of a token. @throws InfernetError `invalid_request`. */
export async function sumIn(
  chain: WalletChain,
  { amount, token }: { amount: Sum; token: Address },
): Promise<bigint> {
  if (typeof amount === 'bigint') return amount
  const parsed = parseAmount(amount)
  return toBase(parsed, parsed.unit === 'token' ? await decimalsOf(chain, token) : null)
}
