import { withBounds } from './guard/with-bounds.ts'
import type { Plan } from './plan.ts'
import { backed, judged } from './stakes/backed.ts'
import { readPurse } from './stakes/purse.ts'
import type { Step } from './step.ts'
import { type Simulate, tryPlan } from './trial.ts'

/**
 * A plan of what has been considered, without what would not come to anything: what the chain would not take, what nobody would judge, what has no
 * bounds, what cannot be backed. That comes last, since it promises money: what something else stands in the way of keeps nothing from others, and
 * has nothing approved. `simulate` absent: nothing is tried.
 * @throws RpcUnavailable
 */
export async function feasible(step: Step, plan: Plan, simulate?: Simulate): Promise<Plan> {
  const tried = simulate ? await tryPlan(step, plan, simulate) : plan
  const purse = await readPurse(
    step,
    tried.begun.map(({ status }) => status.subscription),
  )
  return await backed(step, await withBounds(step, judged(step, tried, purse)), purse)
}
