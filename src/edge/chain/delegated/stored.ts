import { decodeFunctionResult, encodeFunctionData, zeroAddress } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { type BlockTag, returned, toCall } from '../call.ts'
import type { Contracts, Subscription } from '../chain.ts'
import { decoded } from '../decode.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import { noTerms, toSubscription } from '../subscription.ts'

const getSubscription = { abi: eip712CoordinatorAbi, functionName: 'getSubscription' } as const

/** Asks for a subscription as the coordinator has it. */
export function storedCall(
  id: number,
  { contracts, at }: { contracts: Pick<Contracts, 'coordinator'>; at: BlockTag },
): RpcCall {
  return toCall(
    { to: contracts.coordinator, data: encodeFunctionData({ ...getSubscription, args: [id] }) },
    at,
  )
}

/**
 * Null: it could not be read. Of what the coordinator has created it tells an owner: whoever has zeros for it has not got the block. What was
 * signed for has no other terms.
 */
export function toStored(id: number, answer: RpcAnswer | undefined): Subscription | null {
  const told = decoded(returned(answer), data => decodeFunctionResult({ ...getSubscription, data }))
  return told === null || told.owner === zeroAddress ? null : toSubscription(id, told, noTerms)
}
