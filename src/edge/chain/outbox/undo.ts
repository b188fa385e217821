import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { uncountMined } from '../guard/record.ts'
import { unbook, verdictTx } from '../ledger/write.ts'

/**
 * Statements that put what was mined on its way again, with its answers: the next look finds it mined elsewhere, sends it again, or gives
 * its nonce up. The proofs go with the answers. `where`: which of the chain's, by its columns.
 */
export function undoMined(db: Db, { chain, where }: { chain: number; where: SQL }) {
  const { orm } = db
  const undone = sql`(select id from transactions indexed by transactions_mined
    where chain = ${chain} and state = 'mined' and ${where})`
  // Code of before the migration notes no transaction: of what that has written the delivery tells.
  const proven = sql`proofs where rowid in (
    select rowid from proofs indexed by proofs_answer where answer_tx in ${undone}
    union all select old.rowid from deliveries indexed by deliveries_tx cross join proofs as old on old.chain = deliveries.chain
      and old.subscription = deliveries.subscription and old.interval = deliveries.interval and old.answer_tx is null
    where deliveries.tx in ${undone} and deliveries.state = 'delivered')`
  const verdicts = sql`(select ${verdictTx} from ${proven})`
  return [
    unbook(db, undone),
    unbook(db, verdicts),
    ...uncountMined(db, { chain, txs: verdicts }),
    // Before they are put back: what was proven by them was not.
    orm.run(sql`delete from ${proven}`),
    ...uncountMined(db, { chain, txs: undone }),
    orm.run(sql`update deliveries set state = 'sending' where tx in ${undone} and state = 'delivered'`),
    orm.run(sql`
      update transactions set state = 'signed', mined_hash = null, mined_block = null, mined_block_hash = null, status = null,
        gas_used = null, gas_price = null, sent_block = null, passed_block = null, passed_at = null,
        left_at = null, problem = null
      where id in ${undone}`),
  ] as const
}
