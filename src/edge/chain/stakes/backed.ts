import type { Plan } from '../plan.ts'
import type { Step } from '../step.ts'
import type { SkipReason } from '../telling.ts'
import { waiting } from '../waiting.ts'
import { dearTokens } from './dear.ts'
import type { Purse } from './purse.ts'

type Entry = Plan['begun'][number]

/** Takes out of a plan what its verifier would not judge. */
export function judged(step: Step, plan: Plan, purse: Purse): Plan {
  return without(step, plan, ({ status }) => purse.objection(status.subscription))
}

/**
 * Takes out of a plan what cannot be backed, and has nothing approved that does not pay. What it leaves is promised, and begun: nothing else is to be taken
 * out after it.
 */
export async function backed(step: Step, plan: Plan, purse: Purse): Promise<Plan> {
  const obstacles = new Map(plan.begun.map(entry => [entry, purse.promise(entry.status.subscription)]))
  const unapproved = plan.begun.filter(entry => obstacles.get(entry) === 'stake_unapproved')
  const dear = await dearTokens(step, unapproved)
  const left = without(step, plan, entry => {
    const why = obstacles.get(entry) ?? null
    return why === 'stake_unapproved' && dear.has(entry.status.subscription.paymentToken)
      ? 'approval_unprofitable'
      : why
  })
  const approvals = purse.approvals().filter(({ token }) => !dear.has(token))
  return { ...left, approvals, stakings: purse.stakings }
}

function without(step: Step, plan: Plan, why: (entry: Entry) => SkipReason | null): Plan {
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const reason = why(entry)
    if (reason === null) left.begun.push(entry)
    else left.moves.push(waiting(step, entry, reason))
  }
  return left
}
