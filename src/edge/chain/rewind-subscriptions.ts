import { sql } from 'drizzle-orm'
import type { Step } from './step.ts'

/**
 * After a reorganisation: all that was first seen above block `from`, the last that is still there, is looked at again. The cursor goes
 * back to the first of these, and each is due at once, also what was refused or had ended; their deliveries and jobs go on meanwhile. The
 * schedule tells which is the same, which is another and which is gone. To do it twice is harmless.
 * @returns false when nothing was seen above that block.
 */
export async function rewindSubscriptions({ db, chain }: Step, { from }: { from: number }): Promise<boolean> {
  const { orm } = db
  const { id } = chain.config
  const first = sql`(select min(id) from subscriptions indexed by subscriptions_seen where chain = ${id} and seen_block > ${from})`
  const [moved] = await orm.batch([
    orm.all(sql`
      update chains set next_id = min(next_id, ${first}), version = version + 1
      where id = ${id} and ${first} is not null returning id`),
    orm.run(sql`
      update subscriptions indexed by subscriptions_seen set state = 'active', due_at = 0, tries = 0, reason = null, message = null,
        params = null, kept_since = null
      where chain = ${id} and seen_block > ${from}`),
  ])
  return moved.length === 1
}
