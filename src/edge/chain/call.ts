import {
  type Address,
  decodeAbiParameters,
  type Hex,
  hexToBigInt,
  isHex,
  numberToHex,
  zeroAddress,
} from 'viem'
import type { RpcAnswer, RpcCall } from './rpc.ts'

/** A block, by its number or by what it is. */
export type BlockTag = number | 'latest' | 'safe' | 'finalized'

/** `from`: in whose name; absent: nobody's. `gas` absent: what the node gives. */
export type ContractCall = { to: Address; data: Hex; from?: Address; gas?: bigint }

/** Calls a contract without a transaction. */
export function toCall({ gas, ...call }: ContractCall, at: BlockTag): RpcCall {
  const params = gas === undefined ? call : { ...call, gas: numberToHex(gas) }
  return { method: 'eth_call', params: [params, toParam(at)] }
}

/** What a call returned; null: it failed, or there is no contract. */
export function returned(answer: RpcAnswer | undefined): Hex | null {
  const result = answer?.result
  return isHex(result) && result !== '0x' ? result : null
}

/** The one word that a call returned, as a number; null: it returned something else, or failed. */
export function toWord(answer: RpcAnswer | undefined): bigint | null {
  const data = returned(answer)
  return data?.length === 66 ? hexToBigInt(data) : null
}

/** The address that a call returned, in lower case; null: it is not told, or it is nobody's. */
export function addressOf(answer: RpcAnswer | undefined): Address | null {
  const data = returned(answer)
  if (data?.length !== 66) return null
  try {
    const [address] = decodeAbiParameters([{ type: 'address' }], data)
    return address === zeroAddress ? null : (address.toLowerCase() as Address)
  } catch {
    // Some other word.
    return null
  }
}

/** As JSON-RPC has it. */
export function toParam(tag: BlockTag): string {
  return typeof tag === 'number' ? numberToHex(tag) : tag
}
