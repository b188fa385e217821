import { type Hex, hexToBigInt, isHex, size } from 'viem'
import { toParam } from '../call.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'

/** What it creates is a revert with the time: `TIMESTAMP`, `MSTORE` at 0, `REVERT` with 32 bytes from there. */
const telling: Hex = '0x4260005260206000fd'

/**
 * Asks for the time that estimates go by. That of a call is another: some nodes (nethermind) run an estimate in the block to come, whose time is a slot
 * after the newest one's, or that of their own clock, and a call in the newest.
 */
export function clockCall({ chain, latest }: Step): RpcCall {
  const request = { from: chain.signer.address, data: telling }
  return { method: 'eth_estimateGas', params: [request, toParam(latest.number)] }
}

export function isClockCall({ method, params: [asked] }: RpcCall): boolean {
  return method === 'eth_estimateGas' && (asked as { data?: unknown }).data === telling
}

/** Unix seconds; null: it is not told. */
export function clockOf(answer: RpcAnswer | undefined): number | null {
  const data = answer?.error?.data
  return isHex(data) && size(data) === 32 ? Number(hexToBigInt(data)) : null
}
