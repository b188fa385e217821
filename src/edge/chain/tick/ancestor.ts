import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { readBlocks } from '../block.ts'
import type { Chain } from '../chain.ts'

/** Blocks of the journal that are compared in one request. */
const perRequest = 32

/**
 * The highest block in which something happened, and that the chain still has: whatever happened above it may not have. Below all of the
 * journal: one less than its lowest. null: nothing has happened.
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
    const kept = noted.find(({ hash }, index) => blocks[index]?.hash === hash)
    if (kept) return kept.number
    const lowest = noted.at(-1)
    if (!lowest) return below === null ? null : below - 1
    below = lowest.number
  }
}
