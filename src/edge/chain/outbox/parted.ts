import { type SQL, sql } from 'drizzle-orm'
import { type Hex, parseTransaction } from 'viem'
import type { Db } from '../../db/open.ts'
import { answersIn, keyOf } from './batch.ts'
import { type Carried, readCarriedOf } from './carried.ts'
import type { Fate } from './fate.ts'

export type ReadParted = { chain: number; tx: string; hash: Hex; carried: readonly Carried[] }

/**
 * Answers that what was mined has brought, and that are not its transaction's any more: a block in which it failed had them tried again, and was
 * undone; or it was replaced by one without them, and mined all the same. What was signed tells. `hash`: of what was mined; `carried`: what the transaction has still.
 */
export async function readParted(db: Db, { chain, tx, hash, carried }: ReadParted): Promise<Carried[]> {
  const [signed] = await db.orm.all<{ raw: Hex }>(
    sql`select raw from raws where hash = ${hash} and tx = ${tx}`,
  )
  if (signed === undefined) return []
  const known = new Set(carried.map(keyOf))
  const calls = new Set(carried.map(({ givenUp }) => givenUp))
  const parted = answersIn(parseTransaction(signed.raw).data ?? '0x').filter(
    ({ subscription, interval, data }) =>
      !calls.has(data) &&
      (subscription === null ? carried.length === 0 : !known.has(keyOf({ subscription, interval }))),
  )
  if (parted.length === 0) return []
  const items = parted.map(({ subscription, interval, data, creates }) => ({
    s: subscription,
    i: interval,
    c: data,
    o: creates?.owner.toLowerCase(),
    n: creates?.nonce,
  }))
  // What it was to create has the id of its request.
  const isItem = sql`given.chain = ${chain} and given.subscription = coalesce(item.value ->> 's', (select subscription from delegations
    where delegations.chain = ${chain} and owner = item.value ->> 'o' and nonce = item.value ->> 'n'))`
  return await readCarriedOf(
    db,
    sql`deliveries where rowid in (
      select given.rowid from json_each(${JSON.stringify(items)}) as item
        cross join deliveries as given on ${isItem} and given.interval = item.value ->> 'i'
      where ${isParted(tx)}
      union all select given.rowid from json_each(${JSON.stringify(items)}) as item
        cross join deliveries as given on ${isItem} and given.interval < 0
      where given.state = 'dropped' and given.tx is null and given.call = item.value ->> 'c')`,
  )
}

/** Of these what the chain has taken: what it was brought in vain is another's to bring. For what has two rows the one that answers it stands. */
export function takenOf(fates: readonly Fate[]): Fate[] {
  const taken = fates.filter(({ answer }) => answer !== null)
  const here = new Set(taken.filter(({ interval }) => interval > 0).map(({ key }) => key))
  return taken.filter(({ interval, key }) => interval > 0 || !here.has(key))
}

/** A statement that has a transaction carry what it has brought, as if it had not been parted from it. `taken`: what the chain has taken. */
export function rejoin(
  { orm }: Db,
  { chain, tx, taken, guard }: { chain: number; tx: string; taken: readonly Fate[]; guard: SQL },
) {
  const items = JSON.stringify(taken.map(({ subscription, interval }) => [subscription, interval]))
  return orm.run(sql`
    update deliveries set tx = ${tx}, state = iif(interval < 0, 'dropped', 'sending'), dropped_block = null
    where rowid in (
      select given.rowid from json_each(${items}) as item cross join deliveries as given on given.chain = ${chain}
        and given.subscription = item.value ->> 0 and given.interval = item.value ->> 1
      where ${isParted(tx)} and ${guard})`)
}

/** Of a row of `deliveries`: nothing has become of it, and another transaction has it, or none. */
function isParted(tx: string) {
  return sql`given.state in ('computed', 'sending', 'dropped') and given.tx is not ${tx}`
}
