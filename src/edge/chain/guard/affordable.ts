import { size } from 'viem'
import { marketPrice } from '../outbox/fees.ts'
import type { Market } from '../outbox/market.ts'
import type { Passed } from '../outbox/plan.ts'
import type { Step } from '../step.ts'
import { readDataFees } from './data-fee.ts'
import { readFinalizing } from './finalizing.ts'
import { readFreeGas } from './free-gas.ts'
import { type Unserved, whyUnprofitable } from './serve.ts'
import { readUnpaidGas } from './unpaid-gas.ts'

type Affording = Pick<Step, 'db' | 'policy' | 'chain' | 'contracts' | 'latest'>

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
  return serve.kind === 'free' ? await judgeFree(step, { passed, market, freeGas: serve.freeGas }) : new Map()
}

async function judgeProfit(
  step: Affording,
  { passed, market }: { passed: readonly Passed[]; market: Market },
): Promise<Map<Passed, Unserved>> {
  const { guard, gas: policy } = step.chain.config
  const price = marketPrice(policy, market)
  const answers = await withFinalizing(step, passed)
  const sizes = answers.flatMap(({ each, later }) => [size(each.call), later.bytes])
  const dataFeeOf = await readDataFees(step, sizes)
  const why = new Map<Passed, Unserved>()
  for (const { each, later } of answers) {
    const { token, gas, call } = each
    const payout = each.payout ?? 0n
    const dataFee = dataFeeOf(size(call), later.bytes)
    const cost = dataFee === null ? null : BigInt(gas + later.gas) * price + dataFee
    const reason = whyUnprofitable(guard.worth.prices, { payout, token, cost })
    if (reason !== null) why.set(each, reason)
  }
  return why
}

async function judgeFree(
  { db, policy, chain }: Affording,
  { passed, market, freeGas }: { passed: readonly Passed[]; market: Market; freeGas: number },
): Promise<Map<Passed, Unserved>> {
  const why = new Map<Passed, Unserved>()
  const { prices } = chain.config.guard.worth
  const price = marketPrice(chain.config.gas, market)
  // Of some it was not reckoned what of their price would arrive; of others that nothing would.
  const earning = passed.map(each => ({ ...each, payout: each.payout ?? each.price }))
  const own = await readUnpaidGas({ policy, prices }, { answers: earning, price })
  if (own.every(gas => gas === 0)) return why
  const { used, sending } = await readFreeGas(db, chain.config.id)
  const unpaid = await readUnpaidGas({ policy, prices }, { answers: sending, price })
  let left = freeGas - used - unpaid.reduce((sum, gas) => sum + gas, 0)
  for (const [index, each] of passed.entries()) {
    const gas = own[index] ?? 0
    if (gas > 0 && gas > left) why.set(each, 'free_gas_spent')
    else left -= gas
  }
  return why
}

async function withFinalizing(step: Pick<Step, 'db' | 'chain'>, passed: readonly Passed[]) {
  const backed = passed.map(each => ({ each, verifier: each.verifier, paymentAmount: each.price }))
  const finalizing = await readFinalizing(step, backed)
  return backed.map(answer => ({ each: answer.each, later: finalizing(answer) }))
}
