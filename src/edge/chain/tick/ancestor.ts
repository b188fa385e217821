import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { readBlocks } from '../block.ts'
import type { Step } from '../step.ts'

/** Blocks of the journal that are compared in one request. */
const perRequest = 32

/**
 * The highest block in which something happened, and below which the chain still has all of the journal's: whatever happened above it may not have. A
 * ticker may have written down what it saw after a block that it did not know to be undone, so all are compared that a reorganisation may reach, and
 * what lies deeper as long as it is undone. Below all of the journal: one less than its lowest. null: nothing has happened.
 * @throws RpcUnavailable
 */
export async function findAncestor({
  db,
  chain: { config, rpc },
  block,
}: Pick<Step, 'db' | 'chain' | 'block'>): Promise<number | null> {
  let undone: number | null = null
  let kept: number | null = null
  let below: number | null = null
  for (;;) {
    const older = below === null ? sql`` : sql`and number < ${below}`
    const noted: { number: number; hash: Hex }[] = await db.orm.all(sql`
      select number, hash from chain_blocks where chain = ${config.id} ${older} order by number desc limit ${perRequest}`)
    const blocks = await readBlocks(
      rpc,
      noted.map(({ number }) => number),
    )
    for (const [index, { number, hash }] of noted.entries()) {
      if (blocks[index]?.hash === hash) kept ??= number
      else [undone, kept] = [number, null]
    }
    const lowest = noted.at(-1)?.number
    if (lowest === undefined) return kept ?? (undone === null ? null : undone - 1)
    if (kept !== null && lowest <= block.number - config.reorgDepth) return kept
    below = lowest
  }
}
