import { sql } from 'drizzle-orm'
import { longestSeconds } from '../pause.ts'
import type { Step } from '../step.ts'

/** What is looked at again: the first two when an approval is mined, `stake_limit` when a stake comes back, or is lost. */
type Waiting = 'stake_unapproved' | 'approval_unprofitable' | 'stake_limit'

/** Has what waits for that looked at once more. A statement, which walks no further than what waits may lie ahead. */
export function wakeStaked({ db, chain, block }: Step, reason: Waiting) {
  return db.orm.run(sql`
    update subscriptions indexed by subscriptions_due set due_at = ${block.time}
    where chain = ${chain.config.id} and state = 'active' and due_at > ${block.time} and due_at <= ${block.time + longestSeconds}
      and reason = ${reason}`)
}
