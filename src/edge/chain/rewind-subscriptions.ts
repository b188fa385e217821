import { sql } from 'drizzle-orm'
import { uncountDropped } from './guard/record.ts'
import type { Step } from './step.ts'

/** What is due after a reorganisation. `inDoubt`: it may be another, or gone. `undecided`: only what was decided about it may be wrong. */
export const dueAgain = { inDoubt: 0, undecided: 1 } as const

/**
 * After a reorganisation: all that was first seen above block `from`, the last that is still there, is looked at again. The cursor goes
 * back to the first of these, and each is due at once, also what was refused or had ended; their deliveries and jobs go on meanwhile. The
 * schedule tells which is the same, which is another and which is gone. Due is, too, what was decided about others by blocks above `from`:
 * that they were cancelled, or an interval answered. What has no answer of ours may have one now. To do it twice is harmless.
 * @returns false when nothing was seen above that block.
 */
export async function rewindSubscriptions({ db, chain }: Step, { from }: { from: number }): Promise<boolean> {
  const { orm } = db
  const { id } = chain.config
  const first = sql`(select min(id) from subscriptions indexed by subscriptions_seen where chain = ${id} and seen_block > ${from})`
  // The first interval that has no answer, and had none that is forgotten.
  const next = sql`max(floor_interval, 1 + coalesce((select max(interval) from deliveries
    where deliveries.chain = subscriptions.chain and deliveries.subscription = subscriptions.id and interval > 0), 0))`
  const anew = sql`state = 'active', next_interval = ${next}, tries = 0, reason = null, message = null, params = null, kept_since = null`
  const [moved] = await orm.batch([
    orm.all(sql`
      update chains set next_id = min(next_id, ${first}), version = version + 1
      where id = ${id} and ${first} is not null returning id`),
    orm.run(sql`
      update subscriptions indexed by subscriptions_seen set due_at = ${dueAgain.inDoubt}, ${anew}
      where chain = ${id} and seen_block > ${from}`),
    orm.run(sql`
      update subscriptions indexed by subscriptions_decided set due_at = ${dueAgain.undecided}, ${anew}
      where chain = ${id} and decided_block > ${from} and seen_block <= ${from}`),
    orm.run(sql`
      update deliveries indexed by deliveries_dropped set state = 'computed', reason = null, message = null, tries = 0, not_before = 0,
        dropped_block = null
      where chain = ${id} and dropped_block > ${from} and state = 'dropped' and interval > 0 and tx is null`),
    ...uncountDropped(db, { chain: id, from }),
  ])
  return moved.length === 1
}
