import { zeroAddress } from 'viem'
import { pass } from '../decide.ts'
import { type Plan, postponed } from '../plan.ts'
import type { Step } from '../step.ts'
import { sentenceOf, tellSkipped } from '../telling.ts'
import { readPayouts } from './payout.ts'

const why = {
  fee_unknown: 'what the protocol, or its verifier, takes of the pay could not be read',
  FeeAboveTerms: 'The protocol’s fee is above what the subscription allows',
  unsupported_verifier: sentenceOf('unsupported_verifier'),
} as const

/**
 * What is begun, each with what is to reach the node's wallet for it at the least. Where that is not told, and answers go out with bounds, it waits:
 * without one it might be paid nothing. So does what no answer would be accepted for: of which the protocol takes more than its terms allow, or the protocol
 * and the verifier together more than there is. One request to the chain where some of it pays.
 * @throws RpcUnavailable when no endpoint answers.
 */
export async function withBounds(step: Step, plan: Plan): Promise<Plan> {
  const { fee, byId } = await readPayouts(
    step,
    plan.begun.map(({ status }) => status.subscription),
  )
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const { beginning, status } = entry
    const { paymentAmount, maxFee, verifier } = status.subscription
    const minPayout = byId.get(beginning.id) ?? null
    const isPaid = paymentAmount > 0n
    if (isPaid && maxFee > 0 && fee !== null && fee > BigInt(maxFee))
      left.moves.push(waiting(step, entry, 'FeeAboveTerms'))
    else if (minPayout !== null && minPayout < 0n)
      left.moves.push(
        waiting(step, entry, verifier === zeroAddress ? 'FeeAboveTerms' : 'unsupported_verifier'),
      )
    else if (isPaid && minPayout === null && step.contracts.features.bounded)
      left.moves.push(waiting(step, entry, 'fee_unknown'))
    else left.begun.push({ ...entry, beginning: { ...beginning, minPayout } })
  }
  return left
}

function waiting(
  { log, chain, block }: Step,
  { row, status, beginning }: Plan['begun'][number],
  reason: keyof typeof why,
) {
  const { id: subscription, interval } = beginning
  const message = why[reason]
  const passed = pass(status, interval, 'begun')
  const nextAt = passed.kind === 'later' ? passed.dueAt : null
  return {
    move: postponed(row, { reason, message, interval, time: block.time, nextAt }),
    tell: () => tellSkipped(log, { chain: chain.config.id, subscription, interval }, message),
  }
}
