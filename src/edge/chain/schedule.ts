import type { PolicySnapshot } from '../runners/policy.ts'
import type { Status } from './chain.ts'
import { consider } from './consider.ts'
import type { RouteFinder } from './containers.ts'
import { selectDue } from './due.ts'
import { feasible } from './feasible.ts'
import type { ReadStatuses } from './reading.ts'
import { begin, settle } from './settle.ts'
import { approveStakes } from './stakes/approve.ts'
import type { Step } from './step.ts'
import type { Simulate } from './trial.ts'

export type ScheduleOptions = {
  readStatuses: ReadStatuses
  routes: RouteFinder
  /** The coordinator's: what it has not begun to count is gone. */
  nextId: number
  /** What was read of some at this block, so that it need not be read again. */
  known?: ReadonlyMap<number, Status> | undefined
  /** Tries a delivery before it is computed; absent: nothing is tried. */
  simulate?: Simulate | undefined
}

/** `begun`: jobs queued. `left`: something may be due still: the queue is full, the policy has moved on, or it was more than one tick takes. */
export type Scheduled = { begun: number; left: boolean }

/** What one tick looks at. */
const maxDue = 500

/**
 * Begins what is due: a delivery and its job for each interval that is open, once, whoever else schedules. Everything else that is due is
 * moved on: to its next interval, to another look after a pause, or to its end. A page of `batchSize` at a time, since inputs may be long.
 * @throws RpcUnavailable when no endpoint answers: what was not written is due still.
 */
export async function schedule(step: Step, options: ScheduleOptions): Promise<Scheduled> {
  const { db, policy, chain, block } = step
  const { readStatuses, routes, nextId, known = new Map<number, Status>(), simulate } = options
  const { config } = chain
  let snapshot: PolicySnapshot | undefined
  let begun = 0
  for (let looked = 0; looked < maxDue; ) {
    const limit = Math.min(config.batchSize, maxDue - looked)
    const rows = await selectDue(db, { chain: config.id, time: block.time, limit })
    if (rows.length === 0) return { begun, left: false }
    snapshot ??= await policy.readCurrent()
    const { epoch } = snapshot
    const court = { snapshot, config, time: block.time, routes }
    const considered = await consider(step, { rows, court, readStatuses, known, nextId })
    const plan = await feasible(step, considered, simulate)
    const settled = await settle(step, { plan, epoch })
    const { jobs, moved } = await begin(step, { plan, epoch })
    await approveStakes(step, plan.approvals)
    begun += jobs
    looked += rows.length
    if (settled + moved < rows.length) return { begun, left: true }
  }
  return { begun, left: true }
}
