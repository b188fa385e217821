import { refusalOf } from '../refusal.ts'
import type { RpcAnswer } from '../rpc.ts'

/** Some nodes simulate only what the signer could pay for: that says nothing of what is simulated. */
export function isUnpaid(answer: RpcAnswer | undefined): boolean {
  const error = answer?.error
  return error !== undefined && !error.isUnclear && refusalOf(error) === 'unpaid'
}
