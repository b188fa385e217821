import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { readBlocks } from '../block.ts'
import type { Chain } from '../chain.ts'

/** Blocks of the journal that are compared in one request. */
const perRequest = 32

/**
 * The highest block in which something happened, and below which the chain still has all of the journal's, as far as it is looked at: whatever
 * happened above it may not have. A ticker may have written down what it saw after a block that it did not know to be undone, so that not all
 * that lies above the lowest of those is undone. Below all of the journal: one less than its lowest. null: nothing has happened.
 */
export async function findAncestor({ orm }: Db, { config, rpc }: Chain): Promise<number | null> {
  let below: number | null = null
  for (;;) {
    const older = below === null ? sql`` : sql`and number < ${below}`
    const noted: { number: number; hash: Hex }[] = await orm.all(sql`
      select number, hash from chain_blocks where chain = ${config.id} ${older} order by number desc limit ${perRequest}`)
    const blocks = await readBlocks(
      rpc,
      noted.map(({ number }) => number),
    )
    const undone = noted.findLastIndex(({ hash }, index) => blocks[index]?.hash !== hash)
    const kept = noted[undone + 1]
    if (kept) return kept.number
    const lowest = noted.at(-1)
    if (!lowest) return below === null ? null : below - 1
    below = lowest.number
  }
}
