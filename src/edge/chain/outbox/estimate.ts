import { numberToHex } from 'viem'
import { toParam } from '../call.ts'
import { type Revert, revertOf, silent } from '../reverts.ts'
import type { RpcCall, RpcError } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Computed } from './computed.ts'

/** As often as what may be sent: an estimate's. */
export const triedGas = 2

/**
 * A simulation that tells the gas as well. By the block's number: an endpoint that has fallen behind does not have it, where at its own
 * newest it would know neither the question nor the interval, and have the answer given up. Consumers may burn what gas there is,
 * so there is a bound; it lies above what may be sent, for a consumer that runs out of it reverts like any other.
 */
export function estimateCall({ chain, contracts, latest }: Step, { call }: Computed): RpcCall {
  const gas = numberToHex(triedGas * chain.config.gas.maxGasLimit)
  const request = { from: chain.signer.address, to: contracts.coordinator, data: call, gas }
  return { method: 'eth_estimateGas', params: [request, toParam(latest.number)] }
}

/** What one that failed says of the answer; null: no endpoint says anything that is believed. */
export function revertIn({ latest }: Step, { begin, deadline }: Computed, error: RpcError): Revert | null {
  if (error.unanswered === 'silent')
    return { kind: 'retry', code: silent, message: error.message, isKnown: false }
  return error.isUnclear ? null : revertOf(error, { begin, end: deadline, time: latest.time })
}
