import { nextAfter } from '../decide.ts'
import { type Plan, postponed } from '../plan.ts'
import type { Step } from '../step.ts'
import { sentenceOf, tellSkipped } from '../telling.ts'
import { readPurse, type StakeObstacle } from './purse.ts'

type Entry = Plan['begun'][number]

/**
 * Takes out of a plan what cannot be backed. The last to do so before trials, of which what is staked has none: what is promised here is begun, so
 * that nothing is kept from others, or approved, for what the node does not work for.
 * @throws RpcUnavailable
 */
export async function backed(step: Step, plan: Plan): Promise<Plan> {
  const purse = await readPurse(
    step,
    plan.begun.map(({ status }) => status.subscription),
  )
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const reason = purse.promise(entry.status.subscription)
    if (reason === null) left.begun.push(entry)
    else left.moves.push(waiting(step, entry, reason))
  }
  return { ...left, approvals: purse.approvals(), stakings: purse.stakings }
}

function waiting(
  { log, chain, block }: Step,
  { row, status, beginning: { id: subscription, interval } }: Entry,
  reason: StakeObstacle,
) {
  const message = sentenceOf(reason)
  const nextAt = nextAfter(status, interval)
  return {
    move: postponed(row, { reason, message, interval, time: block.time, nextAt }),
    tell: () => tellSkipped(log, { chain: chain.config.id, subscription }, message),
  }
}
