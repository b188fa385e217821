import { hexToBigInt } from 'viem'
import { returned, toParam } from '../call.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'

/** Where the signer and the market stand. `nonce`: the first that the chain has not used. Wei, and wei for a unit of gas. */
export type Market = { nonce: number; balance: bigint; baseFee: bigint; suggested: bigint }

/** What is asked for it, before other calls of the same request. */
export function marketCalls({ chain, latest }: Step): RpcCall[] {
  const { address } = chain.signer
  const at = toParam(latest.number)
  return [
    { method: 'eth_getTransactionCount', params: [address, at] },
    { method: 'eth_getBalance', params: [address, at] },
    { method: 'eth_maxPriorityFeePerGas', params: [] },
  ]
}

/**
 * The market, and the answers to what else was asked.
 * @throws RpcUnavailable
 */
export function readMarket(
  { latest }: Step,
  [count, balance, priority, ...rest]: readonly RpcAnswer[],
): { market: Market; rest: RpcAnswer[] } {
  return {
    market: {
      nonce: Number(quantityOf(count)),
      balance: quantityOf(balance),
      baseFee: latest.baseFee ?? 0n,
      // Not every chain suggests one.
      suggested: hexToBigInt(returned(priority) ?? '0x0'),
    },
    rest,
  }
}

function quantityOf(answer: RpcAnswer | undefined): bigint {
  const told = returned(answer)
  if (told === null) throw new RpcUnavailable('The chain does not tell where the signer stands.')
  return hexToBigInt(told)
}
