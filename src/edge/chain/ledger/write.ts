import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import type { Entry, Mined } from './entries.ts'

export const secondsOfDay = 86_400

export type BookOptions = {
  chain: number
  /** Of `transactions`. */
  tx: string
  mined: Mined
  entries: readonly Entry[]
  /** Only if this holds. */
  guard: SQL
}

/** Books what a transaction has moved and cost; what is booked already stays. A statement of the batch that notes it as mined. */
export function book({ orm }: Db, { chain, tx, mined, entries, guard }: BookOptions) {
  const { hash, block, at } = mined
  const items = JSON.stringify(
    entries.map(entry => ({
      k: entry.kind,
      s: entry.subscription,
      i: entry.interval,
      c: entry.consumer,
      t: entry.token,
      p: String(entry.payment),
      l: String(entry.slashed),
      o: String(entry.owed),
      d: String(entry.owing),
      f: String(entry.protocolFee),
      v: String(entry.verifierFee),
      g: entry.gasUsed,
      w: String(entry.gasCost),
    })),
  )
  return orm.run(sql`
    insert into ledger (tx, seq, chain, hash, block, at, day, kind, subscription, interval, consumer, token, payment, slashed, owed, owing,
      protocol_fee, verifier_fee, gas_used, gas_cost)
    select ${tx}, item.key, ${chain}, ${hash}, ${block}, ${at}, ${Math.floor(at / secondsOfDay)}, item.value ->> 'k', item.value ->> 's',
      item.value ->> 'i', item.value ->> 'c', item.value ->> 't', item.value ->> 'p', item.value ->> 'l', item.value ->> 'o',
      item.value ->> 'd', item.value ->> 'f', item.value ->> 'v', item.value ->> 'g', item.value ->> 'w'
    from json_each(${items}) as item where ${guard}
    on conflict do nothing`)
}

/** What stands for a transaction where a proof was judged after its answer: whoever has sent that. SQL of the same: `verdictTx`. */
export function verdictTxOf({ chain, subscription, interval }: Answered): string {
  return `proof ${chain} ${subscription} ${interval}`
}
type Answered = { chain: number; subscription: number; interval: number }

export const verdictTx = sql.raw(`'proof ' || chain || ' ' || subscription || ' ' || interval`)

/** Takes back what was booked for transactions that are not mined any more. `undone`: a subquery of their ids. */
export function unbook({ orm }: Db, undone: SQL) {
  // Its primary key: an ANALYZE of a small table would have it walked.
  return orm.run(sql`delete from ledger indexed by sqlite_autoindex_ledger_1 where tx in ${undone}`)
}

/** Rows that one statement forgets. */
const prunePerStatement = 500

/** Forgets what is older than `days`. A part each time. */
export function pruneLedger({ orm, now }: Db, { chain, days }: { chain: number; days: number }) {
  return orm.run(sql`
    delete from ledger where (tx, seq) in (
      select tx, seq from ledger indexed by ledger_days
      where chain = ${chain} and day < cast(${now} / ${secondsOfDay * 1000} as integer) - ${days} order by day limit ${prunePerStatement})`)
}
