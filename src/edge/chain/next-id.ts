import { decodeFunctionResult, encodeFunctionData } from 'viem'
import { eip712CoordinatorAbi } from '../../protocol/abi/eip712-coordinator.ts'
import { type BlockTag, returned, toCall, toWord } from './call.ts'
import type { Contracts } from './chain.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from './rpc.ts'

const data = encodeFunctionData({ abi: eip712CoordinatorAbi, functionName: 'id' })

/** Asks for the coordinator's next subscription. */
export function nextIdCall({ coordinator }: Pick<Contracts, 'coordinator'>, at: BlockTag): RpcCall {
  return toCall({ to: coordinator, data }, at)
}

/**
 * The same, at a block that is known to have the coordinator and these subscriptions. It counts from 1: an endpoint that tells of nothing, of
 * zero or of fewer has not got the block, and may have zeros for whatever else is asked of it.
 */
export function anchorCall(
  contracts: Pick<Contracts, 'coordinator'>,
  { at, ids }: { at: BlockTag; ids: readonly number[] },
): RpcCall {
  const most = Math.max(0, ...ids)
  return {
    ...nextIdCall(contracts, at),
    doubt: result => (Number(toWord({ result }) ?? 0n) > most ? null : 'has nothing at the block'),
  }
}

/**
 * Before the coordinator came to be, no subscription did.
 * @throws RpcUnavailable when it is not told.
 */
export function nextIdOf(answer: RpcAnswer | undefined): number {
  if (answer?.result === '0x') return 1
  const data = returned(answer)
  if (data?.length !== 66) {
    const { error } = answer ?? {}
    const told = error?.isUnclear ? error.message : `error ${error?.code ?? 'none'}`
    throw new RpcUnavailable(`The coordinator does not tell its next id: ${told}.`)
  }
  return decodeFunctionResult({ abi: eip712CoordinatorAbi, functionName: 'id', data })
}
