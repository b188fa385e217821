import { type SQL, sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { readBlocks } from '../block.ts'
import { unlinkSubscriptions } from '../delegated/unlink.ts'
import type { Step } from '../step.ts'
import { undoMined } from './undo.ts'

/** A block in which something was mined. */
export type MinedBlock = { number: number; hash: Hex }

/** Of one look, transactions and the blocks that they are in: the next ones go on. */
const maxRows = 256
const maxBlocks = 32

/** Looks at what was mined above the block that is believed: nobody else notices when it is undone. */
export async function recheckMined(step: Step): Promise<void> {
  await recheck(step, sql`mined_block > ${step.block.number}`)
}

/**
 * Whether the chain still has the lowest blocks in which something was mined. What was mined in others is on its way again.
 * `where`: which blocks, by columns of `transactions`.
 * @returns those that it has.
 */
export async function recheck({ db, chain, log }: Step, where: SQL): Promise<MinedBlock[]> {
  const { id } = chain.config
  const rows = await db.orm.all<MinedBlock>(sql`
    select mined_block as number, mined_block_hash as hash from transactions indexed by transactions_mined
    where chain = ${id} and state = 'mined' and ${where} order by mined_block limit ${maxRows}`)
  const noted = [...new Map(rows.map(row => [`${row.number} ${row.hash}`, row])).values()].slice(0, maxBlocks)
  if (noted.length === 0) return []
  const numbers = noted.map(({ number }) => number)
  const blocks = await readBlocks(chain.rpc, numbers)
  const hashOf = (index: number) => blocks[index]?.hash
  // One that there is not may be above the head of an endpoint that lags.
  const gone = noted.filter(({ hash }, index) => hashOf(index) !== undefined && hashOf(index) !== hash)
  for (const { number, hash } of gone) {
    log.warn('Mined block is gone', { chain: id, block: number })
    const isThere = sql`mined_block = ${number} and mined_block_hash = ${hash}`
    const isLinked = sql`linked_block = ${number} and linked_hash = ${hash}`
    await db.orm.batch([
      ...undoMined(db, { chain: id, where: isThere }),
      ...unlinkSubscriptions(db, { chain: id, where: isLinked }),
    ])
  }
  return noted.filter(({ hash }, index) => hashOf(index) === hash)
}
