import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { uncountMined } from '../guard/record.ts'
import { unbook, verdictTx } from '../ledger/write.ts'

/**
 * Statements that put what was mined on its way again, with its answers, also those that failed in it and that no other has: the next look finds it
 * mined elsewhere, sends it again, or gives its nonce up. The proofs go with the answers. `where`: which of the chain's, by its columns.
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
  // Not by the rows above: an ANALYZE of a small table would have it walked for them.
  const verdicts = sql`(
    select ${verdictTx} from proofs indexed by proofs_answer where answer_tx in ${undone}
    union all select ${verdictTx} from deliveries indexed by deliveries_tx where tx in ${undone} and state = 'delivered'
      and exists (select 1 from proofs as old indexed by sqlite_autoindex_proofs_1 where old.chain = deliveries.chain
        and old.subscription = deliveries.subscription and old.interval = deliveries.interval and old.answer_tx is null))`
  return [
    unbook(db, undone),
    unbook(db, verdicts),
    ...uncountMined(db, { chain, txs: verdicts }),
    // Before they are put back: what was proven by them was not.
    orm.run(sql`delete from ${proven}`),
    ...uncountMined(db, { chain, txs: undone }),
    orm.run(sql`update deliveries set state = 'sending' where tx in ${undone} and state = 'delivered'`),
    // What has failed in it is in it still. Each was tried: others need not be compared.
    orm.run(sql`
      update deliveries indexed by deliveries_computed set state = 'sending', tx = t.id, tries = tries - 1, reason = null, message = null
      from transactions as t where deliveries.chain = ${chain} and deliveries.state = 'computed' and deliveries.tries > 0
        and deliveries.call is not null and t.id in ${undone} and instr(t.data, substr(deliveries.call, 3))`),
    orm.run(sql`
      update transactions set state = 'signed', mined_hash = null, mined_block = null, mined_block_hash = null, status = null,
        gas_used = null, gas_price = null, sent_block = null, passed_block = null, passed_at = null,
        left_at = null, problem = null
      where id in ${undone}`),
  ] as const
}
