import { sql } from 'drizzle-orm'
import type { Step } from '../step.ts'

/** Of one tick: the next ones go on. */
const maxFinal = 200

/** What lies deeper than a reorganisation may reach is final: its answers' call data and what was signed for them are forgotten. */
export async function finalise({ db, chain, latest }: Step): Promise<void> {
  const { orm } = db
  const { id, reorgDepth } = chain.config
  const deep = sql`(select id from transactions indexed by transactions_mined
    where chain = ${id} and state = 'mined' and mined_block <= ${latest.number - reorgDepth} order by mined_block limit ${maxFinal})`
  await orm.batch([
    orm.run(
      sql`update deliveries set state = 'final', call = null where tx in ${deep} and state = 'delivered'`,
    ),
    orm.run(sql`delete from raws where tx in ${deep}`),
    orm.run(sql`update transactions set state = 'final', data = '0x' where id in ${deep}`),
  ])
}
