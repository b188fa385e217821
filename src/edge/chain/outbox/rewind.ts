import { sql } from 'drizzle-orm'
import type { Step } from '../step.ts'
import { undoMined } from './undo.ts'

/** After a reorganisation: what was mined above block `from` may be mined elsewhere, or not at all. */
export async function rewindTransactions({ db, chain }: Step, { from }: { from: number }): Promise<void> {
  await db.orm.batch([...undoMined(db, { chain: chain.config.id, where: sql`mined_block > ${from}` })])
}
