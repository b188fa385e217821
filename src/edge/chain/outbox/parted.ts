import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import type { Step } from '../step.ts'
import type { Answering } from './batch.ts'
import { type Carried, readCarriedOf } from './carried.ts'
import { type Fate, fateOf } from './fate.ts'
import type { Receipt } from './receipt.ts'

/**
 * Rows of answers that what was mined has brought, and that are not its transaction's any more: a block in which it failed had them tried again, and was
 * undone. `answers`: those that it has not.
 */
export async function readParted(
  db: Db,
  { chain, tx, answers }: { chain: number; tx: string; answers: readonly Answering[] },
): Promise<Carried[]> {
  if (answers.length === 0) return []
  const items = answers.map(({ subscription, interval, data, creates }) => ({
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

/**
 * What has become of these by what was mined. For what has two rows one stands: that which answers it where the chain has taken it, and else that which
 * was given up, as it is what was sent. Whoever has them tells whether they are tried again.
 */
export function fatesOf(step: Pick<Step, 'contracts'>, parted: readonly Carried[], receipt: Receipt): Fate[] {
  const stands = ({ answer, interval }: Fate) => (answer !== null) === interval > 0
  const fates = parted.map(carried => ({ ...fateOf(step, { carried, receipt }), isOver: false }))
  const last = fates.toSorted((a, b) => Number(stands(a)) - Number(stands(b)))
  return [...new Map(last.map(fate => [fate.key, fate])).values()]
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
