import type { Market } from '../outbox/market.ts'
import type { Passed } from '../outbox/plan.ts'
import type { Step } from '../step.ts'
import { readFreeGas } from './free-gas.ts'
import { isProfitable, type Unserved } from './serve.ts'

/** Which answers the node does not pay the gas for at the moment, and why: by their estimates, and the fee that would be offered. */
export async function whyUnaffordable(
  { db, chain }: Pick<Step, 'db' | 'chain'>,
  { passed, market }: { passed: readonly Passed[]; market: Market },
): Promise<ReadonlyMap<Passed, Unserved>> {
  const { guard, gas: policy } = chain.config
  const { serve, prices } = guard.worth
  const why = new Map<Passed, Unserved>()
  if (serve.kind === 'profitable') {
    const { baseFee, suggested } = market
    const tip = suggested > policy.minPriorityFeePerGas ? suggested : policy.minPriorityFeePerGas
    for (const each of passed) {
      const answer = { payout: each.payout, token: each.token, gas: each.gas, feePerGas: baseFee + tip }
      if (!isProfitable(prices, answer)) why.set(each, 'unprofitable')
    }
  }
  if (serve.kind === 'free') {
    const free = passed.filter(({ isPaid }) => !isPaid)
    const { used, sending } =
      free.length === 0 ? { used: 0, sending: 0 } : await readFreeGas(db, chain.config.id)
    let left = serve.freeGas - used - sending
    for (const each of free) {
      if (each.gas > left) why.set(each, 'free_gas_spent')
      else left -= each.gas
    }
  }
  return why
}
