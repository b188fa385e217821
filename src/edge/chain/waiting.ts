import { nextAfter } from './decide.ts'
import { type Plan, type Planned, postponed } from './plan.ts'
import type { Step } from './step.ts'
import { type SkipReason, sentenceOf, tellSkipped } from './telling.ts'

/** What would be begun waits instead, as for anything that stands in its way. */
export function waiting(
  { log, chain, block }: Step,
  { row, status, beginning: { id: subscription, interval } }: Plan['begun'][number],
  reason: SkipReason,
): Planned {
  const message = sentenceOf(reason)
  const nextAt = nextAfter(status, interval)
  return {
    move: postponed(row, { reason, message, interval, time: block.time, nextAt }),
    tell: () => tellSkipped(log, { chain: chain.config.id, subscription }, message),
  }
}
