import { type SQL, sql } from 'drizzle-orm'
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

/**
 * Whether the journal has no other block of this height: what is told of a block that is undone is not written. Where the journal is wrong, the
 * next look tells of a reorganisation, if it is at the top; below it, whoever has a verdict of its height.
 */
export function isOfJournal({
  chain,
  number,
  hash,
}: {
  chain: number
  number: SQL | number
  hash: SQL | string
}): SQL {
  return sql`not exists (select 1 from chain_blocks where chain = ${chain} and number = ${number} and hash <> ${hash})`
}
