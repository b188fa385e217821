import type { Plan } from '../plan.ts'
import type { Step } from '../step.ts'
import { waiting } from '../waiting.ts'
import { readCosts } from './costs.ts'
import { readFreeGas } from './free-gas.ts'
import { readPayouts } from './payout.ts'
import { type Unserved, whyUnprofitable } from './serve.ts'

type Entry = Plan['begun'][number]

/**
 * Takes out of a plan what the node does not work for at the moment, before anything is computed: it is looked at again after a pause, as fees fall,
 * until its interval is over. A statement, and some requests to the chain, where it matters; none where everybody is served.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function servable(step: Step, plan: Plan): Promise<Plan> {
  const { serve } = step.chain.config.guard.worth
  if (serve.kind === 'always' || plan.begun.length === 0) return plan
  const whyNot =
    serve.kind === 'free' ? await judgeFree(step, serve.freeGas) : await judgeProfit(step, plan.begun)
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const reason = whyNot(entry)
    if (reason === null) left.begun.push(entry)
    else left.moves.push(waiting(step, entry, reason))
  }
  return left
}

/** By what was delivered so far: what is under way is looked at before it is sent. */
async function judgeFree({ db, chain }: Step, most: number) {
  const { used } = await readFreeGas(db, chain.config.id)
  return ({ status }: Entry): Unserved | null =>
    status.subscription.paymentAmount === 0n && used >= most ? 'free_gas_spent' : null
}

/** By what each would bring, and cost, at the newest block. */
async function judgeProfit(step: Step, begun: readonly Entry[]) {
  const { prices } = step.chain.config.guard.worth
  const subscriptions = begun.map(({ status }) => status.subscription)
  const [{ byId: payouts }, costOf] = await Promise.all([
    readPayouts(step, subscriptions),
    readCosts(step, subscriptions),
  ])
  return ({ status: { subscription } }: Entry): Unserved | null => {
    const { id, paymentToken: token } = subscription
    return whyUnprofitable(prices, { payout: payouts.get(id) ?? 0n, token, cost: costOf(subscription) })
  }
}
