import { sql } from 'drizzle-orm'
import type { Db } from '../db/open.ts'
import type { Block } from './chain.ts'

/**
 * Notes a block in which something happened, or by which something was decided. What the journal has of this height stays: another hash tells
 * the next look of a reorganisation. A statement.
 */
export function noteBlock(
  { orm }: Db,
  { chain, block: { number, hash } }: { chain: number; block: Pick<Block, 'number' | 'hash'> },
) {
  return orm.run(sql`
    insert into chain_blocks (chain, number, hash) values (${chain}, ${number}, ${hash}) on conflict (chain, number) do nothing`)
}
