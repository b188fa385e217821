import { sql } from 'drizzle-orm'
import type { Step } from '../step.ts'

/**
 * After a reorganisation: what was mined above block `from` may be mined elsewhere, or not at all. It is on its way again: the next block's
 * look finds it, sends it again, or gives its nonce up. Its answers go with it.
 */
export async function rewindTransactions({ db, chain }: Step, { from }: { from: number }): Promise<void> {
  const { orm } = db
  const undone = sql`(select id from transactions indexed by transactions_mined
    where chain = ${chain.config.id} and state = 'mined' and mined_block > ${from})`
  await orm.batch([
    orm.run(sql`update deliveries set state = 'sending' where tx in ${undone} and state = 'delivered'`),
    orm.run(sql`
      update transactions set state = 'signed', mined_hash = null, mined_block = null, mined_block_hash = null, status = null,
        gas_used = null, gas_price = null, sent_block = null, passed_block = null
      where id in ${undone}`),
  ])
}
