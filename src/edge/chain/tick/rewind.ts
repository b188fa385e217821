import { sql } from 'drizzle-orm'
import { unlinkSubscriptions } from '../delegated/unlink.ts'
import { rewindTransactions } from '../outbox/rewind.ts'
import { rewindProofs } from '../proofs/rewind.ts'
import { rewindSubscriptions } from '../rewind-subscriptions.ts'
import type { Step } from '../step.ts'
import { findAncestor } from './ancestor.ts'

/**
 * After a reorganisation: what happened in blocks that the chain has no more is looked at again. `known`: the last block that was believed.
 * Broken off anywhere it is done again: the journal is shortened last.
 * @returns `from`: what lies above that block was undone.
 */
export async function rewind(step: Step, { known }: { known: number }): Promise<{ from: number }> {
  const { db, chain, log, block } = step
  const ancestor = await findAncestor(step)
  // Nothing happened: only the head is another.
  const from = Math.min(ancestor ?? known, known)
  log.info('Chain rewound', { chain: chain.config.id, from, known })
  await rewindTransactions(step, { from })
  await rewindProofs(step, { from })
  await rewindSubscriptions(step, { from })
  // After those: an id that is nobody's any more is not to be looked for under it.
  await db.orm.batch([
    ...unlinkSubscriptions(db, { chain: chain.config.id, where: sql`linked_block > ${from}` }),
    db.orm.run(sql`delete from chain_blocks where chain = ${chain.config.id} and number > ${from}`),
    db.orm.run(sql`
      update chains set head_number = ${block.number}, head_hash = ${block.hash}, version = version + 1
      where id = ${chain.config.id} and head_number > ${from}`),
  ])
  return { from }
}
