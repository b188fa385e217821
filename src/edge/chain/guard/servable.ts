import { sql } from 'drizzle-orm'
import { pass } from '../decide.ts'
import { type Plan, postponed } from '../plan.ts'
import type { Step } from '../step.ts'
import { tellSkipped } from '../telling.ts'
import { readFreeGas } from './free-gas.ts'
import { readPayouts } from './payout.ts'
import { isProfitable, type Unserved, unserved } from './serve.ts'

type Entry = Plan['begun'][number]

/**
 * Takes out of a plan what the node does not work for at the moment, before anything is computed: it is looked at again after a pause, as fees fall,
 * until its interval is over. One statement, and one request to the chain, where it matters; none where everybody is served.
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

/** By the gas of the answer that its consumer last had, or a guess, at the fee of the newest block. */
async function judgeProfit(step: Step, begun: readonly Entry[]) {
  const { chain, latest } = step
  const { guard, gas } = chain.config
  const { prices, gasGuess } = guard.worth
  const subscriptions = begun.map(({ status }) => status.subscription)
  const [payouts, gases] = await Promise.all([readPayouts(step, subscriptions), readLastGas(step, begun)])
  const feePerGas = (latest.baseFee ?? 0n) + gas.minPriorityFeePerGas
  return ({ status: { subscription } }: Entry): Unserved | null => {
    const { id, owner, paymentToken: token } = subscription
    const payout = payouts.get(id) ?? 0n
    const answer = { payout, token, gas: gases.get(owner) ?? gasGuess, feePerGas }
    return isProfitable(prices, answer) ? null : 'unprofitable'
  }
}

async function readLastGas(
  { db, chain }: Step,
  begun: readonly Entry[],
): Promise<ReadonlyMap<string, number>> {
  const owners = JSON.stringify([...new Set(begun.map(({ status }) => status.subscription.owner))])
  const rows = await db.orm.all<{ owner: string; gas: number }>(sql`
    select owner, last_gas as gas from json_each(${owners}) as asked
    cross join consumers on consumers.chain = ${chain.config.id} and consumers.owner = asked.value
    where last_gas is not null`)
  return new Map(rows.map(({ owner, gas }) => [owner, gas]))
}

function waiting({ log, chain, block }: Step, { row, status, beginning }: Entry, reason: Unserved) {
  const { id: subscription, interval } = beginning
  const message = unserved[reason]
  const passed = pass(status, interval, 'begun')
  const nextAt = passed.kind === 'later' ? passed.dueAt : null
  return {
    move: postponed(row, { reason, message, interval, time: block.time, nextAt }),
    tell: () => tellSkipped(log, { chain: chain.config.id, subscription, interval }, message),
  }
}
