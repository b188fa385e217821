import { whyUnaffordable } from '../guard/affordable.ts'
import { overstaked } from '../stakes/limited.ts'
import type { Step } from '../step.ts'
import { sentenceOf } from '../telling.ts'
import { type Dropped, dropDeliveries, type Postponed, postponeDeliveries } from './drop.ts'
import type { Market } from './market.ts'
import { blamed, maxKnown, pauseAfter, unclearMs, unservedMs } from './patience.ts'
import type { Passed } from './plan.ts'
import { whyUnderpaid } from './underpaid.ts'
import { withhold } from './withheld.ts'

/** `stakings`: how often something was begun or sent with a stake, when it was reckoned what these may stake; null: that is not limited. */
export type Worthy = { passed: readonly Passed[]; stakings: number | null }

/**
 * What does not bring its gas, is over the budget, or would stake more than the node risks on a verifier waits: fees fall, a day passes, and stakes come
 * back. It is no try.
 */
export async function withoutUnaffordable(
  step: Step,
  { passed, market }: { passed: readonly Passed[]; market: Market },
): Promise<Worthy> {
  const why = new Map<Passed, string>(await whyUnaffordable(step, { passed, market }))
  const affordable = passed.filter(each => !why.has(each))
  const { over, stakings } = await overstaked(step, affordable)
  for (const each of over) why.set(each, 'stake_limit')
  if (why.size === 0) return { passed, stakings }
  const postponed = [...why].map(([{ subscription, interval }, reason]): Postponed => {
    return { subscription, interval, reason, message: sentenceOf(reason), afterMs: unservedMs, counts: 0 }
  })
  await withhold(step, postponed)
  return { passed: passed.filter(each => !why.has(each)), stakings }
}

/** What would bring less than it was computed for is tried again, as the fee may be lowered, and given up in the end; what is not told is no try. */
export async function withoutUnderpaid(step: Step, passed: readonly Passed[]): Promise<readonly Passed[]> {
  const { db, chain, latest, log } = step
  const why = await whyUnderpaid(step, passed)
  if (why.size === 0) return passed
  const dropped: Dropped[] = []
  const postponed: Postponed[] = []
  for (const [answer, reason] of why) {
    const { subscription, interval, tries } = answer
    const isTried = reason === 'PayoutTooLow'
    const message = underpaid[reason]
    const isOver = isTried && tries + 1 >= maxKnown
    if (isOver) dropped.push({ subscription, interval, reason, message, ...blamed(reason, answer) })
    else {
      const afterMs = isTried ? pauseAfter(tries) : unclearMs
      postponed.push({ subscription, interval, reason, message, afterMs, counts: isTried ? 1 : 0 })
    }
    const fields = { chain: chain.config.id, subscription, interval, error: message }
    log.warn('Did not send tx', { ...fields, again: !isOver })
  }
  await dropDeliveries(db, { chain: chain.config.id, dropped, block: latest })
  await postponeDeliveries(db, { chain: chain.config.id, postponed })
  return passed.filter(each => !why.has(each))
}

const underpaid = {
  PayoutTooLow: 'It would bring less than it was computed for',
  fee_unknown: 'What the protocol, or its verifier, takes of the pay could not be read',
} as const
