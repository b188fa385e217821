import type { Subscription } from './chain.ts'
import { pass } from './decide.ts'
import type { Signed } from './delegated/signed.ts'
import { type Plan, postponed, putOff } from './plan.ts'
import type { Step } from './step.ts'
import { tellSkipped, tellStopped } from './telling.ts'

/**
 * What a delivery would meet, tried with an output of nothing before anything is computed. `stop`: nothing will be accepted for this
 * interval. `retry`: not now. `unasked`: it was not tried, for want of time. `message`: the sentence for it.
 */
export type Trial = { kind: 'passed' } | { kind: 'stop' | 'retry' | 'unasked'; code: string; message: string }

/** `signed`: of one that came over HTTP. */
export type TrialRequest = { subscription: Subscription; interval: number; signed: Signed | null }

/** By subscription; what is missing has passed. */
export type Simulate = (requests: readonly TrialRequest[]) => Promise<ReadonlyMap<number, Trial>>

/** Takes out of a plan what would not be accepted anyway. What asks for a proof cannot be tried: there is none yet. */
export async function tryPlan(step: Step, plan: Plan, simulate: Simulate): Promise<Plan> {
  const tried = plan.begun.filter(({ beginning }) => !beginning.requiresProof)
  if (tried.length === 0) return plan
  const trials = await simulate(
    tried.map(({ row, status, beginning }) => ({
      subscription: status.subscription,
      interval: beginning.interval,
      signed: row.signed,
    })),
  )
  const left: Plan = { ...plan, moves: [...plan.moves], begun: [] }
  for (const entry of plan.begun) {
    const trial = trials.get(entry.beginning.id) ?? { kind: 'passed' }
    if (trial.kind === 'passed') left.begun.push(entry)
    else left.moves.push(failed(step, entry, trial))
  }
  return left
}

type Entry = Plan['begun'][number]

function failed(
  { log, chain, block, latest }: Step,
  { row, status, beginning, move }: Entry,
  trial: Exclude<Trial, { kind: 'passed' }>,
) {
  const { code: reason, message } = trial
  const { id: subscription, interval } = beginning
  const told = { chain: chain.config.id, subscription, interval }
  const passed = pass(status, interval, 'begun')
  const nextAt = passed.kind === 'later' ? passed.dueAt : null
  const isStopped = trial.kind === 'stop' && move.state === 'ended'
  const wait = trial.kind === 'unasked' ? putOff : postponed
  return {
    move:
      trial.kind === 'stop'
        ? { ...move, begun: null, decided: latest.number, reason, message }
        : wait(row, { reason, message, interval, time: block.time, nextAt }),
    tell() {
      tellSkipped(log, told, message)
      if (isStopped) tellStopped(log, told)
    },
  }
}
