import { sql } from 'drizzle-orm'
import { type Hex, parseTransaction } from 'viem'
import type { Db } from '../../db/open.ts'
import { type Answering, answersIn, keyOf } from './batch.ts'
import { type Carried, readCarried } from './carried.ts'
import { readParted } from './parted.ts'

/** `hash`: of what was mined. `isAnswer`: it went to the coordinator, and not to the signer itself, for nothing. */
export type ReadBrought = { chain: number; tx: string; hash: Hex; isAnswer: boolean }

/**
 * What a transaction that was mined has brought, as it was signed. `carried`: answers that it has; `parted`: that it had. `omitted`: those that it has and
 * has not brought, as what was mined had been signed in its place without them.
 */
export type Brought = { carried: Carried[]; parted: Carried[]; omitted: Carried[] }

export async function readBrought(db: Db, { chain, tx, hash, isAnswer }: ReadBrought): Promise<Brought> {
  const [rows, answers] = [await readCarried(db, tx), isAnswer ? await readSigned(db, { tx, hash }) : []]
  const isBrought = (row: Carried) => answers.some(answer => isOf(row, answer))
  const carried = rows.filter(isBrought)
  const others = answers.filter(answer => !carried.some(row => isOf(row, answer)))
  const parted = await readParted(db, { chain, tx, answers: others })
  return { carried, parted, omitted: rows.filter(row => !isBrought(row)) }
}

/** What creates what it answers is alone in its transaction. */
function isOf(row: Carried, { subscription, interval, data }: Answering): boolean {
  if (row.givenUp !== null) return row.givenUp === data
  return subscription === null || keyOf({ subscription, interval }) === keyOf(row)
}

/** None where that is forgotten: it was settled by another look. */
async function readSigned({ orm }: Db, { tx, hash }: { tx: string; hash: Hex }): Promise<Answering[]> {
  const [signed] = await orm.all<{ raw: Hex }>(sql`select raw from raws where hash = ${hash} and tx = ${tx}`)
  return signed === undefined ? [] : answersIn(parseTransaction(signed.raw).data ?? '0x')
}
