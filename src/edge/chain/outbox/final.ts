import { sql } from 'drizzle-orm'
import { settleMined } from '../guard/record.ts'
import type { Step } from '../step.ts'
import { recheck } from './recheck.ts'

/** Of one tick: the next ones go on. */
const maxFinal = 200

/**
 * What lies deeper than a reorganisation may reach is final: its answers' call data and what was signed for them are forgotten. Its block is
 * looked at a last time, since whoever wrote it down may have been slow, and the block gone by then.
 */
export async function finalise(step: Step): Promise<void> {
  const { db, chain, latest } = step
  const { orm } = db
  const { id, reorgDepth } = chain.config
  const kept = await recheck(step, sql`mined_block <= ${latest.number - reorgDepth}`)
  if (kept.length === 0) return
  const blocks = JSON.stringify(kept.map(({ number, hash }) => [number, hash]))
  const deep = sql`(select id from transactions indexed by transactions_mined
    where chain = ${id} and state = 'mined' and mined_block <= ${kept.at(-1)?.number}
      and (mined_block, mined_block_hash) in (select value ->> 0, value ->> 1 from json_each(${blocks}))
    order by mined_block limit ${maxFinal})`
  await orm.batch([
    orm.run(sql`
      update deliveries set state = iif(state = 'delivered', 'final', state), call = null
      where tx in ${deep} and state in ('delivered', 'dropped')`),
    orm.run(sql`delete from raws where tx in ${deep}`),
    settleMined(db, { chain: id, txs: deep }),
    orm.run(sql`update transactions set state = 'final', data = '0x' where id in ${deep}`),
  ])
}
