import { describe } from '../../log.ts'
import { consider } from '../consider.ts'
import { intervalAt } from '../interval.ts'
import { begin, settle } from '../settle.ts'
import { simulateDummies } from '../simulate.ts'
import type { Step } from '../step.ts'
import { tryPlan } from '../trial.ts'
import type { Asked } from './asked.ts'
import type { Door } from './door.ts'
import type { Judged } from './judge.ts'
import { unseen } from './unseen.ts'

/** As the schedule does it, for this one alone. What fails is done by the schedule. */
export async function beginNow(
  door: Door,
  { asked, judged }: { asked: Asked; judged: Judged },
): Promise<void> {
  const { subscription, signed } = asked
  const { block, snapshot } = judged
  const interval = intervalAt(subscription, block.time)
  if (interval === 0) return
  const step: Step = { ...door, block, latest: block, gapSeconds: 1 }
  const status = { subscription, interval, count: 0, responded: false, wallet: null, input: null }
  const row = {
    subscription,
    dueAt: block.time,
    nextInterval: interval,
    tries: 0,
    seenHash: unseen.hash,
    route: null,
    signed,
  }
  try {
    const considered = await consider(step, {
      rows: [row],
      court: { snapshot, config: door.chain.config, time: block.time, routes: door.routes },
      readStatuses: async () => ({ statuses: new Map(), failed: [] }),
      known: new Map(),
      nextId: 0,
      // Whoever pays, is looked at again, for what is in the wallet.
      ...(subscription.paymentAmount === 0n && {
        uncreated: new Map([[subscription.id, { kind: 'there', status }]]),
      }),
    })
    const plan = await tryPlan(step, considered, requests => simulateDummies(step, requests))
    await settle(step, { plan, epoch: snapshot.epoch })
    await begin(step, { plan, epoch: snapshot.epoch })
  } catch (error) {
    door.log.warn('Not begun at once', { chain: door.chain.config.id, error: describe(error) })
  }
}
