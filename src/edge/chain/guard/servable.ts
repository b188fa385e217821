import type { PolicySnapshot } from '../../runners/policy.ts'
import type { Plan } from '../plan.ts'
import type { Step } from '../step.ts'
import { waiting } from '../waiting.ts'
import { readCosts } from './costs.ts'
import { readFreeGas } from './free-gas.ts'
import { readPayouts } from './payout.ts'
import { type Unserved, whyUnprofitable } from './serve.ts'
import { isPriced } from './unpaid-gas.ts'

type Entry = Plan['begun'][number]

/**
 * Takes out of a plan what the node does not work for at the moment, before anything is computed: it is looked at again after a pause, as fees fall,
 * until its interval is over. A statement, and some requests to the chain, where it matters; none where everybody is served.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function servable(
  step: Step,
  { plan, snapshot }: { plan: Plan; snapshot: PolicySnapshot },
): Promise<Plan> {
  const { serve } = step.chain.config.guard.worth
  if (serve.kind === 'always' || plan.begun.length === 0) return plan
  const whyNot =
    serve.kind === 'free'
      ? await judgeFree(step, { begun: plan.begun, snapshot, most: serve.freeGas })
      : await judgeProfit(step, plan.begun)
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const reason = whyNot(entry)
    if (reason === null) left.begun.push(entry)
    else left.moves.push(waiting(step, entry, reason))
  }
  return left
}

/** By what was delivered so far: what is under way is looked at before it is sent. Once it is spent, whoever pays has to pay what it costs. */
async function judgeFree(
  step: Step,
  { begun, snapshot, most }: { begun: readonly Entry[]; snapshot: PolicySnapshot; most: number },
) {
  const { used } = await readFreeGas(step.db, step.chain.config.id)
  const isPaying = ({ status }: Entry) => status.subscription.paymentAmount > 0n
  const isServed = (entry: Entry) => {
    const { status, beginning } = entry
    const asked = { route: beginning.route, token: status.subscription.paymentToken }
    return used < most || (isPaying(entry) && isPriced(snapshot, asked))
  }
  const asked = begun.filter(entry => isPaying(entry) && !isServed(entry))
  const whyNot = asked.length === 0 ? () => 'unprofitable' : await judgeProfit(step, asked)
  return (entry: Entry): Unserved | null => {
    if (isServed(entry)) return null
    return asked.includes(entry) && whyNot(entry) === null ? null : 'free_gas_spent'
  }
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
