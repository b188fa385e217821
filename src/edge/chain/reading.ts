import { zeroAddress } from 'viem'
import type { Status } from './chain.ts'

/**
 * What these subscriptions are like at the block that is believed, which of them could not be read although the chain answers, and which
 * there was no time for. Of what the chain does not have there is nothing in any of these, or a status whose owner is the zero address.
 * @throws RpcUnavailable when no endpoint answers.
 */
export type ReadStatuses = (ids: readonly number[]) => Promise<{
  statuses: ReadonlyMap<number, Status>
  failed: readonly number[]
  unasked: readonly number[]
}>

/** Whether the chain has it: what it does not have reads as zeros. */
export function isThere(status: Status | undefined): status is Status {
  return status !== undefined && status.subscription.owner !== zeroAddress
}
