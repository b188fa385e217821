import type { Address } from 'viem'
import { expectedFee, readCosts } from '../guard/costs.ts'
import { readDataFees } from '../guard/data-fee.ts'
import { surplusOf } from '../guard/serve.ts'
import type { Plan } from '../plan.ts'
import type { Step } from '../step.ts'

/** Of a transaction that approves a stake: 51,149 were measured where nothing was approved before. */
const approveGas = 55_000
const approveBytes = 100

/**
 * Tokens that are not worth an approval: all that waits for it would bring less than it costs, once their own gas is off, or it is not told what it costs.
 * None where the node does not ask what it earns.
 */
export async function dearTokens(
  step: Step,
  unapproved: readonly Plan['begun'][number][],
): Promise<ReadonlySet<Address>> {
  const { serve, prices } = step.chain.config.guard.worth
  if (serve.kind !== 'profitable' || unapproved.length === 0) return new Set()
  const costOf = await readCosts(
    step,
    unapproved.map(({ status }) => status.subscription),
  )
  const left = new Map<Address, bigint>()
  for (const { status, beginning } of unapproved) {
    const { paymentToken: token } = status.subscription
    const payout = beginning.minPayout ?? 0n
    const cost = costOf(status.subscription)
    const surplus = cost === null ? 0n : surplusOf(prices, { payout, token, cost })
    left.set(token, (left.get(token) ?? 0n) + surplus)
  }
  const dataFeeOf = await readDataFees(step, [approveBytes])
  const dataFee = dataFeeOf(approveBytes)
  if (dataFee === null) return new Set(left.keys())
  const price = BigInt(approveGas) * expectedFee(step) + dataFee
  return new Set([...left].filter(([, surplus]) => surplus < price).map(([token]) => token))
}
