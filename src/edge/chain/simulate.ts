import { type Address, encodeFunctionData, type Hex, zeroAddress, zeroHash } from 'viem'
import { eip712CoordinatorAbi } from '../../protocol/abi/eip712-coordinator.ts'
import { toCall } from './call.ts'
import type { Subscription } from './chain.ts'
import { delegatedDeliverCall } from './delegated/calls.ts'
import { isToCreate } from './delegated/signed.ts'
import { type Bounds, boundedCall } from './guard/bounds.ts'
import { beginOf, endOf } from './interval.ts'
import { anchorCall } from './next-id.ts'
import { isAllowed, revertOf } from './reverts.ts'
import { isUnasked } from './rpc.ts'
import { sendApart } from './send-apart.ts'
import type { Step } from './step.ts'
import type { Trial, TrialRequest } from './trial.ts'

/**
 * What a delivery of nothing, 32 zero bytes, would meet: the reference's look before it computes, in one request for all. A revert that has
 * no name is the consumer's, which may like a real answer better: it has passed.
 */
export async function simulateDummies(
  step: Step,
  requests: readonly TrialRequest[],
): Promise<Map<number, Trial>> {
  const { chain, contracts, latest } = step
  const { config, rpc, signer } = chain
  const answers = await sendApart(
    rpc,
    // By its number, as in `deliver`: an endpoint that has fallen behind would not know the subscription.
    requests.map(request => {
      const { interval } = request
      const nothing = { interval, input: '0x', output: zeroHash, proof: '0x' } as const
      const nodeWallet = walletFor(step, request.subscription)
      const data = answerCall(step, request, { ...nothing, nodeWallet })
      // No more than it could be sent with: consumers may burn what there is.
      const gas = BigInt(config.gas.maxGasLimit)
      return toCall({ from: signer.address, to: contracts.coordinator, data, gas }, latest.number)
    }),
    {
      anchor: anchorCall(contracts, {
        at: latest.number,
        ids: requests.map(({ subscription }) => subscription.id),
      }),
    },
  )
  const trials = new Map<number, Trial>()
  for (const [index, { subscription, interval }] of requests.entries()) {
    const error = answers[index]?.error
    if (error === undefined || isAllowed(error, config.allowedSimErrors)) continue
    if (error.unanswered) {
      const kind = isUnasked(answers[index]) ? 'unasked' : 'retry'
      trials.set(subscription.id, { kind, code: error.unanswered, message: error.message })
      continue
    }
    const standing = {
      begin: beginOf(subscription, interval),
      end: endOf(subscription, interval),
      time: latest.time,
    }
    const { kind, code, message, isKnown } = revertOf(error, standing)
    if (isKnown) trials.set(subscription.id, { kind: kind === 'drop' ? 'stop' : 'retry', code, message })
  }
  return trials
}

export type Delivered = {
  subscription: number
  interval: number
  input: Hex
  output: Hex
  proof: Hex
  nodeWallet: Hex
}

/**
 * The wallet that an answer names. None where nothing is paid: whoever has the id, or the nonce, by the time that it is mined may be another, whose
 * price the wallet would be staked for.
 */
export function walletFor(
  { chain }: Pick<Step, 'chain'>,
  subscription: Pick<Subscription, 'paymentAmount'> | undefined,
): Address {
  return (subscription?.paymentAmount ?? 0n) > 0n ? chain.config.paymentAddress : zeroAddress
}

/** Call data of an answer: it creates the subscription as well, where nobody has, or a reorganisation may undo it; that takes no bounds. */
export function answerCall(
  step: Pick<Step, 'chain' | 'latest'>,
  { subscription, signed }: Pick<TrialRequest, 'subscription' | 'signed'>,
  answer: Omit<Delivered, 'subscription'>,
  bounds: Bounds | null = null,
): Hex {
  if (signed !== null && isToCreate(signed, step))
    return delegatedDeliverCall({ subscription, signed }, answer)
  const { id } = subscription
  return bounds === null
    ? deliverCall({ subscription: id, ...answer })
    : boundedCall({ subscriptionId: id, ...answer }, bounds)
}

/** Call data of `deliverCompute`. */
export function deliverCall({ subscription, interval, input, output, proof, nodeWallet }: Delivered): Hex {
  return encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'deliverCompute',
    args: [subscription, interval, input, output, proof, nodeWallet],
  })
}
