import type { Subscription } from '../chain.ts'
import { cancelledAt } from '../interval.ts'
import { isSame } from '../tracked.ts'

/** Whether what the chain has is what was signed, be it cancelled by now. Another may have been signed with the same nonce. */
export function isCreatedAs(signed: Subscription, told: Subscription): boolean {
  const isWhen = told.activeAt === signed.activeAt || told.activeAt === cancelledAt
  return isWhen && isSame({ ...signed, id: told.id }, told)
}
