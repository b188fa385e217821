import { encodeAbiParameters, encodeFunctionData, keccak256 } from 'viem'
import { eip712CoordinatorAbi } from '../../protocol/abi/eip712-coordinator.ts'
import { toCall } from './call.ts'
import type { Chain, Contracts } from './chain.ts'
import type { RpcCall } from './rpc.ts'

export type Counting = { chain: Pick<Chain, 'signer'>; contracts: Pick<Contracts, 'coordinator'>; at: number }

/** Two calls: how many answers an interval has, and whether one of them is this node's. */
export function countCalls(
  { chain, contracts, at }: Counting,
  { id, interval }: { id: number; interval: number },
): RpcCall[] {
  const uint32 = { type: 'uint32' } as const
  const intervalKey = keccak256(encodeAbiParameters([uint32, uint32], [id, interval]))
  const node = chain.signer.address
  const nodeKey = keccak256(encodeAbiParameters([uint32, uint32, { type: 'address' }], [id, interval, node]))
  return [
    encodeFunctionData({ abi: eip712CoordinatorAbi, functionName: 'redundancyCount', args: [intervalKey] }),
    encodeFunctionData({ abi: eip712CoordinatorAbi, functionName: 'nodeResponded', args: [nodeKey] }),
  ].map(data => toCall({ to: contracts.coordinator, data }, at))
}
