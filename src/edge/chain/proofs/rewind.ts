import { sql } from 'drizzle-orm'
import { uncountMined } from '../guard/record.ts'
import { unbook, verdictTx } from '../ledger/write.ts'
import type { Step } from '../step.ts'

/**
 * After a reorganisation: what was found above block `from`, the last that is still there, is looked for again. Proofs of answers that are
 * undone have gone with them.
 */
export async function rewindProofs({ db, chain }: Step, { from }: { from: number }): Promise<void> {
  const { orm } = db
  const { id } = chain.config
  const undone = sql`(select ${verdictTx} from proofs indexed by proofs_settled
    where chain = ${id} and settled_block is not null and settled_block > ${from})`
  await orm.batch([
    unbook(db, undone),
    ...uncountMined(db, { chain: id, txs: undone }),
    orm.run(sql`
      update proofs indexed by proofs_settled set state = 'pending', due_at = 0, looks = 0, looked_block = min(looked_block, ${from}), searched_block = null,
        payout = null, expires_at = null, settled_by = null, settled_hash = null, settled_block = null
      where chain = ${id} and settled_block is not null and settled_block > ${from}`),
    orm.run(sql`
      update proofs indexed by proofs_due set due_at = 0, looks = 0, looked_block = min(looked_block, ${from}), searched_block = null
      where chain = ${id} and state = 'pending' and due_at is not null and max(looked_block, coalesce(searched_block, 0)) > ${from}`),
  ])
}
