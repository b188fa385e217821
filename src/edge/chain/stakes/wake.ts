import { sql } from 'drizzle-orm'
import { longestSeconds } from '../pause.ts'
import type { Step } from '../step.ts'

/** Has what waits for an approval looked at once more: one was mined. A statement, which walks no further than what waits may lie ahead. */
export function wakeStaked({ db, chain, block }: Step) {
  return db.orm.run(sql`
    update subscriptions indexed by subscriptions_due set due_at = ${block.time}
    where chain = ${chain.config.id} and state = 'active' and due_at > ${block.time} and due_at <= ${block.time + longestSeconds}
      and reason = 'stake_unapproved'`)
}
