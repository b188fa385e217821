import { type Address, encodeErrorResult, encodeFunctionData, type Hex, zeroAddress, zeroHash } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import type { Subscription } from '../chain.ts'
import type { RpcAnswer } from '../rpc.ts'

/** What a node will not deliver beyond, as the coordinator takes it. `deadline`: the last second of block time; 0: none. */
export type Bounds = {
  minPayout: bigint
  maxStake: bigint
  paymentToken: Address
  verifier: Address
  deadline: number
  containerId: Hex
}

export type BoundedAnswer = {
  subscriptionId: number
  interval: number
  input: Hex
  output: Hex
  proof: Hex
  nodeWallet: Hex
}

const maxUint32 = 2 ** 32 - 1

/** Of an answer to what it was computed for. `deadline`: unix seconds from which on it would be refused; null: none. */
export function boundsOf(
  { verifier, paymentAmount, paymentToken, containerId }: Subscription,
  { minPayout, deadline }: { minPayout: bigint; deadline: number | null },
): Bounds {
  return {
    minPayout,
    maxStake: verifier === zeroAddress ? 0n : paymentAmount,
    paymentToken,
    verifier,
    deadline: deadline === null || deadline > maxUint32 ? 0 : deadline - 1,
    containerId,
  }
}

/** Call data of `deliverComputeBounded`. */
export function boundedCall(answer: BoundedAnswer, bounds: Bounds): Hex {
  return encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'deliverComputeBounded',
    args: [answer, bounds],
  })
}

/** An answer to nothing, long too late: a coordinator that knows bounds says so before anything else. */
export const tooLateCall = boundedCall(
  { subscriptionId: 0, interval: 0, input: '0x', output: '0x', proof: '0x', nodeWallet: zeroAddress },
  {
    minPayout: 0n,
    maxStake: 0n,
    paymentToken: zeroAddress,
    verifier: zeroAddress,
    deadline: 1,
    containerId: zeroHash,
  },
)

const tooLate = encodeErrorResult({ abi: eip712CoordinatorAbi, errorName: 'DeliveryTooLate' })

/** Whether that was said. A contract with a fallback could answer anything. */
export function isToldTooLate(answer: RpcAnswer | undefined): boolean {
  return answer?.error?.data?.toLowerCase() === tooLate
}
