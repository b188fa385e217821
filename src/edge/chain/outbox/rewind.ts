import { sql } from 'drizzle-orm'
import type { Step } from '../step.ts'
import { undoMined } from './undo.ts'

/** After a reorganisation: what was mined above block `from` may be mined elsewhere, or not at all. */
export async function rewindTransactions(
  { db, chain, latest }: Step,
  { from }: { from: number },
): Promise<void> {
  const { id } = chain.config
  await db.orm.batch([
    ...undoMined(db, { chain: id, where: sql`mined_block > ${from}` }),
    // What had their nonces may be undone: they are looked for as if they had been given up now.
    db.orm.run(sql`
      update transactions indexed by transactions_displaced set passed_block = ${latest.number}
      where chain = ${id} and state = 'displaced' and passed_block is not null and passed_block > ${from}`),
  ])
}
