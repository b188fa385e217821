import { describe } from '../../log.ts'
import { consider } from '../consider.ts'
import { feasible } from '../feasible.ts'
import { intervalAt } from '../interval.ts'
import type { Plan } from '../plan.ts'
import { simulateDummies } from '../simulate.ts'
import type { Step } from '../step.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import type { Judged } from './judge.ts'
import { unseen } from './unseen.ts'

const nothing: Plan = {
  moves: [],
  linked: [],
  unlinked: [],
  vanished: [],
  replaced: [],
  doubtful: [],
  begun: [],
  approvals: [],
  stakings: null,
}

/**
 * What is begun with a request, as the schedule would have it, for this one alone: what was asked for it is not asked again. What cannot be
 * planned now, or is created already, is left to the schedule.
 */
export async function planNow(
  door: Door,
  { asked, judged }: { asked: Asked; judged: Judged },
): Promise<Plan> {
  const { subscription, signed } = asked
  const { block, snapshot, createdId, wallet } = judged
  const interval = intervalAt(subscription, block.time)
  if (interval === 0 || createdId !== null) return nothing
  const status = { subscription, interval, count: 0, responded: false, wallet, input: null }
  const row = {
    subscription,
    dueAt: block.time,
    nextInterval: interval,
    tries: 0,
    reason: null,
    seenHash: unseen.hash,
    route: null,
    signed,
  }
  try {
    const nodeWallet = await door.wallet.look(door.now())
    const step: Step = { ...door, nodeWallet, block, latest: block, gapSeconds: 1 }
    const considered = await consider(step, {
      rows: [row],
      court: { snapshot, config: door.chain.config, time: block.time, routes: door.routes },
      readStatuses: async () => ({ statuses: new Map(), failed: [], unasked: [] }),
      known: new Map(),
      nextId: 0,
      uncreated: new Map([[subscription.id, { kind: 'there', status }]]),
    })
    return await feasible(step, considered, requests => simulateDummies(step, requests))
  } catch (error) {
    door.log.warn('Not begun at once', { chain: door.chain.config.id, error: describe(error) })
    return nothing
  }
}
