import { decodeFunctionResult, encodeFunctionData } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { returned, toCall } from '../call.ts'
import { decoded } from '../decode.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import { keyOf, type Proof } from './proof.ts'
import { isVain } from './search.ts'

/** A proof as the coordinator has it. `expiry`: unix seconds; 0: it waits for nothing any more. `payout`: base units. */
export type Request = { expiry: number; payout: bigint }

const abi = eip712CoordinatorAbi

const nothingWaits = 'tells no waiting proof'

/**
 * One of which no log tells that it was judged may wait yet: that it does not takes more than one endpoint's word, once each time that its logs are
 * looked through, as who is doubted rests.
 */
export function requestCall({ contracts, block }: Step, proof: Proof): RpcCall {
  const data = encodeFunctionData({ abi, functionName: 'proofRequests', args: [keyOf(proof)] })
  const call = toCall({ to: contracts.coordinator, data }, block.number)
  return isVain(proof) && proof.searchedBlock === null ? { ...call, doubt: doubtOf } : call
}

function doubtOf(result: unknown): string | null {
  return requestOf({ result })?.expiry === 0 ? nothingWaits : null
}

/** null: it is not told. Where all endpoints are doubted, what they say is what is told. */
export function requestOf(answer: RpcAnswer | undefined): Request | null {
  if (answer?.error?.message === nothingWaits) return { expiry: 0, payout: 0n }
  const data = returned(answer)
  if (data === null) return null
  const told = decoded(data, data => decodeFunctionResult({ abi, functionName: 'proofRequests', data }))
  return told && { expiry: told[0], payout: told[2] }
}

export function termsCall({ contracts, block }: Step, { subscription }: Proof): RpcCall {
  const data = encodeFunctionData({ abi, functionName: 'getTerms', args: [subscription] })
  return toCall({ to: contracts.coordinator, data }, block.number)
}

/** Whether the consumer gets the pay back when nobody judges; null: it is not told. The first deployments have no terms, and pay. */
export function refundsOf(answer: RpcAnswer | undefined): boolean | null {
  if (answer?.error?.isUnclear) return null
  const data = returned(answer)
  if (data === null) return false
  return (
    decoded(data, data => decodeFunctionResult({ abi, functionName: 'getTerms', data }))?.refundOnSilence ??
    false
  )
}
