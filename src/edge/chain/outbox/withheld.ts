import { barredSentence, selectBarred } from '../guard/usage.ts'
import type { Step } from '../step.ts'
import type { Computed } from './computed.ts'
import { dropDeliveries, type Postponed, postponeDeliveries } from './drop.ts'
import { blamedLate, maxPauseMs } from './patience.ts'

/** What would be mined at the earliest when it is too late is given up. */
export async function withoutLate(step: Step, computed: readonly Computed[]): Promise<Computed[]> {
  const { db, chain, latest, gapSeconds, log } = step
  const isLate = ({ deadline }: Computed) => deadline !== null && latest.time + gapSeconds >= deadline
  const dropped = computed.filter(isLate).map(delivery => {
    const { subscription, interval, reason: why } = delivery
    const message = `The interval was over before the answer could be sent${why === null ? '.' : `: ${why}.`}`
    return { subscription, interval, reason: 'too_late', message, ...blamedLate(delivery) }
  })
  await dropDeliveries(db, { chain: chain.config.id, dropped, block: latest })
  for (const { subscription, interval, message } of dropped)
    log.warn('Did not send tx', { chain: chain.config.id, subscription, interval, error: message })
  return computed.filter(delivery => !isLate(delivery))
}

/** Whose consumer has cost too much meanwhile waits, until its deadline at most. */
export async function withoutBarred(step: Step, computed: readonly Computed[]): Promise<readonly Computed[]> {
  const { db, chain } = step
  const barred = await selectBarred(db, {
    config: chain.config,
    owners: computed.map(({ owner }) => owner),
  })
  if (barred.size === 0) return computed
  const postponed = computed.flatMap(({ subscription, interval, owner }): Postponed[] => {
    const excess = barred.get(owner)
    if (!excess) return []
    const afterMs = Math.min(maxPauseMs, excess.until - excess.now)
    const message = barredSentence(excess)
    return [{ subscription, interval, reason: 'consumer_limit', message, afterMs, counts: 0 }]
  })
  await withhold(step, postponed)
  return computed.filter(({ owner }) => !barred.has(owner))
}

/** Postpones, and says so. */
export async function withhold({ db, chain, log }: Step, postponed: readonly Postponed[]): Promise<void> {
  await postponeDeliveries(db, { chain: chain.config.id, postponed })
  for (const { subscription, interval, message } of postponed)
    log.warn('Did not send tx', {
      chain: chain.config.id,
      subscription,
      interval,
      error: message,
      again: true,
    })
}
