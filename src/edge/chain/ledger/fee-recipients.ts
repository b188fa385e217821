import { type Address, encodeFunctionData } from 'viem'
import { feeAbi } from '../../../protocol/abi/fee.ts'
import { addressOf, toCall } from '../call.ts'
import { anchorCall } from '../next-id.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'

/**
 * Who got the protocol's fee in a block: before it and after it, as somebody else may come to own the fee in it. Where no endpoint has the state of
 * either any more, who did when this process began. One request, where they have it, and three where not.
 * @throws RpcUnavailable
 */
export async function readFeeRecipients(
  { chain, contracts, latest }: Step,
  block: number,
): Promise<readonly Address[]> {
  const { fee } = contracts
  if (fee === null) return knownRecipients(contracts)
  const data = encodeFunctionData({ abi: feeAbi, functionName: 'FEE_RECIPIENT' })
  const calls = [block - 1, block].map(at => toCall({ to: fee, data }, at))
  const anchor = anchorCall(contracts, { at: latest.number, ids: [] })
  const ask = () => chain.rpc.send(calls, anchor, { tries: 1 })
  const answers = await ask().catch(async error => {
    throwOthers(error)
    // Who answers nothing at all may answer later; a state that is forgotten does not come back, where trouble passes.
    await chain.rpc.send([anchor])
    return await ask().catch(throwOthers)
  })
  const told = (answers ?? []).map(addressOf).filter(address => address !== null)
  return told.length === calls.length ? told : [...told, ...knownRecipients(contracts)]
}

function throwOthers(error: unknown): undefined {
  if (!(error instanceof RpcUnavailable)) throw error
}

/** As far as is known without asking. */
export function knownRecipients({ feeRecipient }: Pick<Step['contracts'], 'feeRecipient'>): Address[] {
  return feeRecipient === null ? [] : [feeRecipient]
}
