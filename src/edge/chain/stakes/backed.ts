import { nextAfter } from '../decide.ts'
import { type Plan, postponed } from '../plan.ts'
import type { Step } from '../step.ts'
import { sentenceOf, tellSkipped } from '../telling.ts'
import type { Purse, StakeObstacle } from './purse.ts'

type Entry = Plan['begun'][number]

/** Takes out of a plan what its verifier would not judge. */
export function judged(step: Step, plan: Plan, purse: Purse): Plan {
  return without(step, plan, ({ status }) => purse.objection(status.subscription))
}

/** Takes out of a plan what cannot be backed. What it leaves is promised, and begun: nothing else is to be taken out after it. */
export function backed(step: Step, plan: Plan, purse: Purse): Plan {
  const left = without(step, plan, ({ status }) => purse.promise(status.subscription))
  return { ...left, approvals: purse.approvals(), stakings: purse.stakings }
}

function without(step: Step, plan: Plan, why: (entry: Entry) => StakeObstacle | null): Plan {
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const reason = why(entry)
    if (reason === null) left.begun.push(entry)
    else left.moves.push(waiting(step, entry, reason))
  }
  return left
}

function waiting(
  { log, chain, block }: Step,
  { row, status, beginning: { id: subscription, interval } }: Entry,
  reason: StakeObstacle,
) {
  const message = sentenceOf(reason)
  const nextAt = nextAfter(status, interval)
  return {
    move: postponed(row, { reason, message, interval, time: block.time, nextAt }),
    tell: () => tellSkipped(log, { chain: chain.config.id, subscription }, message),
  }
}
