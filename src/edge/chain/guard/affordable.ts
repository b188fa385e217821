import { size } from 'viem'
import type { Market } from '../outbox/market.ts'
import type { Passed } from '../outbox/plan.ts'
import type { Step } from '../step.ts'
import { readDataFees } from './data-fee.ts'
import { readFinalizing } from './finalizing.ts'
import { readFreeGas } from './free-gas.ts'
import { type Unserved, whyUnprofitable } from './serve.ts'

type Affording = Pick<Step, 'db' | 'chain' | 'contracts' | 'latest'>

/**
 * Which answers the node does not pay the gas for at the moment, and why: by their estimates, and the fee that would be offered. One request where it
 * depends on what they cost.
 */
export async function whyUnaffordable(
  step: Affording,
  { passed, market }: { passed: readonly Passed[]; market: Market },
): Promise<ReadonlyMap<Passed, Unserved>> {
  const { serve } = step.chain.config.guard.worth
  if (serve.kind === 'profitable') return await judgeProfit(step, { passed, market })
  return serve.kind === 'free' ? await judgeFree(step, { passed, freeGas: serve.freeGas }) : new Map()
}

async function judgeProfit(
  step: Affording,
  { passed, market: { baseFee, suggested } }: { passed: readonly Passed[]; market: Market },
): Promise<Map<Passed, Unserved>> {
  const { guard, gas: policy } = step.chain.config
  const tip = suggested > policy.minPriorityFeePerGas ? suggested : policy.minPriorityFeePerGas
  const answers = await withFinalizing(step, passed)
  const sizes = answers.flatMap(({ each, later }) => [size(each.call), later.bytes])
  const dataFeeOf = await readDataFees(step, sizes)
  const why = new Map<Passed, Unserved>()
  for (const { each, later } of answers) {
    const { payout, token, gas, call } = each
    const dataFee = dataFeeOf(size(call), later.bytes)
    const cost = dataFee === null ? null : BigInt(gas + later.gas) * (baseFee + tip) + dataFee
    const reason = whyUnprofitable(guard.worth.prices, { payout, token, cost })
    if (reason !== null) why.set(each, reason)
  }
  return why
}

async function judgeFree(
  { db, chain }: Affording,
  { passed, freeGas }: { passed: readonly Passed[]; freeGas: number },
): Promise<Map<Passed, Unserved>> {
  const free = passed.filter(({ isPaid }) => !isPaid)
  const why = new Map<Passed, Unserved>()
  if (free.length === 0) return why
  const { used, sending } = await readFreeGas(db, chain.config.id)
  let left = freeGas - used - sending
  for (const each of free) {
    if (each.gas > left) why.set(each, 'free_gas_spent')
    else left -= each.gas
  }
  return why
}

async function withFinalizing(step: Pick<Step, 'db' | 'chain'>, passed: readonly Passed[]) {
  const backed = passed.map(each => ({ each, verifier: each.verifier, paymentAmount: each.price }))
  const finalizing = await readFinalizing(step, backed)
  return backed.map(answer => ({ each: answer.each, later: finalizing(answer) }))
}
