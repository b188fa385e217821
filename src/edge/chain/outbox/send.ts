import { isContested } from '../guard/stagger.ts'
import type { Step } from '../step.ts'
import { allocate } from './allocate.ts'
import { broadcast, type Sending } from './broadcast.ts'
import { offer } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'
import { type Planned, planTransactions } from './plan.ts'
import { refusedGas } from './replace.ts'
import type { Worthy } from './worthy.ts'

export const insufficientFunds = 'insufficient_funds: the signer cannot pay for the gas'

/** @returns why nothing, or no more, is sent; null: all is. */
export async function send(
  step: Step,
  { passed, market, open, stakings }: Worthy & { market: Market; open: readonly Open[] },
): Promise<string | null> {
  const { chain, contracts, log } = step
  const { gas: policy } = chain.config
  if (passed.length === 0) return null
  const stuck = open.find(({ state }) => state === 'signed')
  if (stuck) return `Transaction ${stuck.nonce} was not taken by any endpoint`
  const fees = offer(policy, market)
  if (fees === null)
    return `The market asks ${market.baseFee + market.suggested} wei for a unit of gas; ${policy.maxFeePerGas} are the most`
  const planned = planTransactions(passed, {
    canBatch: contracts.features.batch,
    maxGasLimit: policy.maxGasLimit,
    isAlone: ({ redundancy, reason }) =>
      reason === refusedGas ||
      isContested({ redundancy, self: chain.signer.address, peers: chain.config.guard.stagger.peers }),
  })
  let left = market.balance - open.reduce((sum, each) => sum + costOf(each.gas, each.fees.maxFeePerGas), 0n)
  const sendings: Sending[] = []
  let blocked: string | null = null
  let seen = stakings
  for (const each of planned) {
    left -= costOf(each.gas, fees.maxFeePerGas)
    blocked = left < 0n ? insufficientFunds : null
    if (open.length + sendings.length >= policy.maxInFlight)
      blocked ??= `${policy.maxInFlight} transactions are on their way`
    if (blocked) break
    const isStaked = each.deliveries.some(({ stake }) => stake !== null)
    const allocated = await allocate(step, {
      planned: each,
      fees,
      first: market.nonce,
      stakings: isStaked ? seen : null,
    })
    if (allocated === null) continue
    if (seen !== null && isStaked) seen += 1
    sendings.push(allocated)
    tellAllocated(step, { planned: each, allocated })
  }
  if (blocked) log.warn('Signer blocked', { chain: chain.config.id, reason: blocked })
  return (await broadcast(step, sendings)) ?? blocked
}

function costOf(gas: number, maxFeePerGas: bigint): bigint {
  return BigInt(gas) * maxFeePerGas
}

function tellAllocated(
  { chain, log }: Step,
  { planned, allocated }: { planned: Planned; allocated: Sending },
): void {
  for (const { subscription, interval } of planned.deliveries) {
    const { nonce, hash } = allocated
    log.info('Delivery signed', { chain: chain.config.id, subscription, interval, nonce, hash })
  }
}
