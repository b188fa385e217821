import { type Address, type Hex, isHex, numberToHex } from 'viem'
import type { RpcAnswer, RpcCall } from './rpc.ts'

/** A block, by its number or by what it is. */
export type BlockTag = number | 'latest' | 'safe' | 'finalized'

/** Calls a contract without a transaction. `from`: in whose name; absent: nobody's. */
export function toCall(
  { to, data, from }: { to: Address; data: Hex; from?: Address },
  at: BlockTag,
): RpcCall {
  const block = toParam(at)
  return { method: 'eth_call', params: [from === undefined ? { to, data } : { from, to, data }, block] }
}

/** What a call returned; null: it failed, or there is no contract. */
export function returned(answer: RpcAnswer | undefined): Hex | null {
  const result = answer?.result
  return isHex(result) && result !== '0x' ? result : null
}

/** As JSON-RPC has it. */
export function toParam(tag: BlockTag): string {
  return typeof tag === 'number' ? numberToHex(tag) : tag
}
