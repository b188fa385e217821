import { sql } from 'drizzle-orm'
import type { Computed } from '../outbox/computed.ts'
import type { Step } from '../step.ts'
import { placeOf, waitOf } from './stagger.ts'

/** What a block may take, for all that is known: the rhythm tells what it takes at the least. */
const cautiousSeconds = 12

/**
 * Lets other nodes go first with what they have fewer places for than there are of them: when its turn comes it is simulated, and most often that
 * tells that nothing is left to send. Looked at once for each answer. What the chain does not have yet has no id that others know, and goes at once.
 */
export async function withoutStaggered(
  step: Step,
  computed: readonly Computed[],
): Promise<readonly Computed[]> {
  const { db, chain, latest, gapSeconds, log } = step
  const { id: chainId, guard } = chain.config
  const { peers, blocks } = guard.stagger
  const self = chain.signer.address
  if (peers.length === 0) return computed
  const fresh = computed.filter(({ sendBlock, subscription }) => sendBlock === null && subscription > 0)
  const waiting = fresh.flatMap(({ subscription, interval, redundancy, deadline }) => {
    const place = placeOf({ chain: chainId, subscription, interval, self, peers })
    const secondsLeft = deadline === null ? null : deadline - latest.time - gapSeconds
    const wait = waitOf(
      { place, redundancy, blocks },
      { secondsLeft, gapSeconds: Math.max(gapSeconds, cautiousSeconds) },
    )
    return wait === 0 ? [] : [{ subscription, interval, place, sendBlock: latest.number + wait }]
  })
  if (waiting.length === 0) return computed
  const items = waiting.map(({ subscription: s, interval: i, sendBlock: b }) => ({
    c: chainId,
    s,
    i,
    b,
  }))
  await db.orm.run(sql`
    update deliveries set send_block = item.value ->> 'b', reason = 'staggered', message = 'Other nodes go first.'
    from json_each(${JSON.stringify(items)}) as item
    where deliveries.chain = item.value ->> 'c' and subscription = item.value ->> 's' and interval = item.value ->> 'i' and +state = 'computed'`)
  for (const { subscription, interval, place, sendBlock } of waiting)
    log.info('Lets others go first', { chain: chainId, subscription, interval, place, block: sendBlock })
  const keys = new Set(waiting.map(({ subscription, interval }) => `${subscription}/${interval}`))
  return computed.filter(({ subscription, interval }) => !keys.has(`${subscription}/${interval}`))
}
