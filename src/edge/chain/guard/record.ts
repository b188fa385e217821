import { type SQL, sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import type { Db } from '../../db/open.ts'
import { hourOf } from './hour.ts'

/** What became of an answer that was mined. `owner`: who asked. `gas`, `cost`: its part, as it is booked; wei. `unpaidGas`: what of it is not paid for. */
export type MinedAnswer = {
  owner: string
  isPaid: boolean
  unpaidGas: number
  outcome: 'delivered' | 'rejected' | 'failed'
  gas: number
  cost: bigint
}

/** An answer that was counted as delivered and paid, and has brought nothing. `source`: names its proof. `cost`: wei of its gas. */
export type RejectedLater = { source: string; owner: string; gas: number; cost: bigint }

/** Names an answer that is computed, and who asked for it. */
export type Asked = { owner: string; subscription: number; interval: number }

/** Who is nobody's address: its rows are the sums of all. */
export const everybody = '*'

/** A number of wei is more than the database counts to: gwei, and what is left of them. */
const gwei = 1_000_000_000n
/** What answers that were given up together are counted under. */
const dropPrefix = 'drop '
/** Of all that begin with it: what is next after a space in ASCII is `!`. */
const isDrop = sql`source >= ${dropPrefix} and source < 'drop!'`
/** Likewise, of verdicts, as the ledger names them. */
const isVerdict = sql`source >= 'proof ' and source < 'proof!'`
/** Twice as long as limits look back. */
const keptHours = 48

/**
 * Statements that count what was mined to the records of those who asked. They come before the transaction is marked as mined, and `guard` says
 * that it is not: done twice, they count once.
 */
export function countMined(
  db: Db,
  { chain, tx, block, answers, guard }: Source & { tx: string; answers: readonly MinedAnswer[]; guard: SQL },
) {
  const items = [...byOwner(answers)].map(([owner, theirs]) => sumOf(owner, theirs))
  return [
    db.orm.run(sql`
      insert into consumer_changes (chain, source, owner, block, hour, paid, unpaid, reverted, rejected, gas, unpaid_gas, wasted_gas, wasted_gwei, wasted_wei)
      select ${chain}, ${tx}, value ->> 'o', ${block}, ${hourOf(db.now)}, value ->> 'p', value ->> 'u', value ->> 'r', value ->> 'rj', value ->> 'g',
        value ->> 'ug', value ->> 'wg', value ->> 'gw', value ->> 'w'
      from json_each(${JSON.stringify(items)}) where ${guard} on conflict do nothing`),
    ...apply(db, { changes: changesOf(chain, tx, guard), sign: 1 }),
  ] as const
}

type Source = { chain: number; block: number }

function sumOf(owner: string, answers: readonly MinedAnswer[]) {
  const delivered = answers.filter(({ outcome }) => outcome === 'delivered')
  const unpaid = delivered.filter(({ isPaid }) => !isPaid)
  const wasted = answers.filter(({ outcome }) => outcome !== 'delivered')
  const rejected = wasted.filter(({ outcome }) => outcome === 'rejected')
  const gasOf = (some: readonly MinedAnswer[]) => some.reduce((sum, { gas }) => sum + gas, 0)
  const cost = wasted.reduce((sum, { cost }) => sum + cost, 0n)
  return {
    o: owner,
    p: delivered.length - unpaid.length,
    u: unpaid.length,
    r: wasted.length - rejected.length,
    rj: rejected.length,
    g: gasOf(delivered),
    // What fails unpaid costs the same.
    ug: answers.reduce((sum, { unpaidGas }) => sum + unpaidGas, 0),
    wg: gasOf(wasted),
    gw: Number(cost / gwei),
    w: Number(cost % gwei),
  }
}

/**
 * Statements that count an answer as rejected that counts as paid: a verdict, or the end of its time, has come later. They come before its proof is
 * settled, and `guard` says that it is not: however often it is told, it counts once. `block`: the verdict's.
 */
export function countRejected(
  db: Db,
  { chain, block, rejected, guard }: Source & { rejected: RejectedLater; guard: SQL },
) {
  const { source, owner, gas, cost } = rejected
  const change = sql`(
    select ${chain} as chain, ${source} as source, value as owner, ${block} as block, ${hourOf(db.now)} as hour, -1 as paid, 0 as unpaid, 0 as reverted,
      1 as rejected, 0 as dropped, 0 as gas, ${gas} as wasted_gas, ${Number(cost / gwei)} as wasted_gwei, ${Number(cost % gwei)} as wasted_wei, 0 as unpaid_gas
    from json_each(${JSON.stringify([owner, everybody])})) as change where ${guard} and not exists (
      select 1 from consumer_changes where consumer_changes.chain = change.chain and consumer_changes.source = change.source
        and consumer_changes.owner = change.owner)`
  // Noted last: what is noted is counted.
  return [
    ...apply(db, { changes: change, sign: 1 }),
    db.orm.run(sql`
      insert into consumer_changes (chain, source, owner, block, hour, paid, rejected, wasted_gas, wasted_gwei, wasted_wei)
      select chain, source, owner, block, hour, paid, rejected, wasted_gas, wasted_gwei, wasted_wei from ${change}`),
  ] as const
}

/**
 * Statements that count answers that the chain would not take once they were computed, before they are dropped. What is not `computed` any
 * more was counted.
 */
export function countDropped(db: Db, { chain, block, dropped }: Source & { dropped: readonly Asked[] }) {
  const source = `${dropPrefix}${uuidv7()}`
  const keyOf = ({ subscription, interval }: Asked) => [subscription, interval]
  const items = [...byOwner(dropped)].map(([o, theirs]) => ({ o, k: theirs.map(keyOf) }))
  const isLeft = sql`exists (select 1 from json_each(${JSON.stringify(dropped.map(keyOf))}) as key
    cross join deliveries as given on given.chain = ${chain} and given.subscription = key.value ->> 0 and given.interval = key.value ->> 1
      and given.state = 'computed')`
  return [
    db.orm.run(sql`
      insert into consumer_changes (chain, source, owner, block, hour, dropped)
      select ${chain}, ${source}, item.value ->> 'o', ${block}, ${hourOf(db.now)}, (select count(*) from json_each(item.value -> 'k') as key
        cross join deliveries as given on given.chain = ${chain} and given.subscription = key.value ->> 0 and given.interval = key.value ->> 1
          and given.state = 'computed')
      from json_each(${JSON.stringify(items)}) as item where ${isLeft} on conflict do nothing`),
    ...apply(db, { changes: changesOf(chain, source, isLeft), sign: 1 }),
  ] as const
}

/** Everybody's among them. */
function byOwner<T extends { owner: string }>(answers: readonly T[]): Map<string, T[]> {
  const owners = new Map<string, T[]>()
  for (const answer of answers) {
    for (const owner of [answer.owner, everybody]) {
      const theirs = owners.get(owner)
      if (theirs) theirs.push(answer)
      else owners.set(owner, [answer])
    }
  }
  return owners
}

function changesOf(chain: number, source: string, guard: SQL): SQL {
  return sql`consumer_changes where chain = ${chain} and source = ${source} and ${guard}`
}

/** `changes`: of which rows; `sign`: whether they are added, or taken back. Each row by itself, so that nothing has to be sorted or walked. */
function apply({ orm, now }: Db, { changes, sign }: { changes: SQL; sign: 1 | -1 }) {
  const times = sql.raw(String(sign))
  const signed = (columns: string) =>
    sql.raw(
      columns
        .split(' ')
        .map(column => `${sign} * ${column}`)
        .join(', '),
    )
  return [
    orm.run(sql`
      insert into consumers (chain, owner, paid, unpaid, reverted, rejected, dropped, wasted_gas, wasted_gwei, wasted_wei, unpaid_gas, last_gas,
        first_seen, last_seen)
      select chain, owner, ${signed('paid unpaid reverted rejected dropped wasted_gas wasted_gwei wasted_wei unpaid_gas')},
        iif(${times} > 0 and paid + unpaid > 0, gas / (paid + unpaid), null), ${now}, ${now} from ${changes}
      on conflict (chain, owner) do update set paid = paid + excluded.paid, unpaid = unpaid + excluded.unpaid,
        reverted = reverted + excluded.reverted, rejected = rejected + excluded.rejected, dropped = dropped + excluded.dropped,
        wasted_gas = wasted_gas + excluded.wasted_gas, wasted_gwei = wasted_gwei + excluded.wasted_gwei, wasted_wei = wasted_wei + excluded.wasted_wei,
        unpaid_gas = unpaid_gas + excluded.unpaid_gas, last_gas = coalesce(excluded.last_gas, last_gas), last_seen = excluded.last_seen`),
    orm.run(sql`
      insert into consumer_hours (chain, owner, hour, reverted, rejected, dropped, wasted_gas, unpaid_gas)
      select chain, owner, hour, ${signed('reverted rejected dropped wasted_gas unpaid_gas')} from ${changes}
      on conflict (chain, owner, hour) do update set reverted = reverted + excluded.reverted, rejected = rejected + excluded.rejected,
        dropped = dropped + excluded.dropped, wasted_gas = wasted_gas + excluded.wasted_gas, unpaid_gas = unpaid_gas + excluded.unpaid_gas`),
  ] as const
}

/** Statements that take back what mined transactions, or verdicts, have added. `txs`: a subquery of their ids, or of what the ledger names these. */
export function uncountMined(db: Db, { chain, txs }: { chain: number; txs: SQL }) {
  return takeBack(db, { chain, which: sql`source in ${txs}` })
}

/** Statements that take back what was added for answers that were given up by a block above `from`. */
export function uncountDropped(db: Db, { chain, from }: { chain: number; from: number }) {
  return takeBack(db, { chain, which: sql`${isDrop} and block > ${from}` })
}

function takeBack(db: Db, { chain, which }: { chain: number; which: SQL }) {
  // Its primary key: an ANALYZE of a small table would have it walked.
  const changes = sql`consumer_changes indexed by sqlite_autoindex_consumer_changes_1 where chain = ${chain} and ${which}`
  return [...apply(db, { changes, sign: -1 }), db.orm.run(sql`delete from ${changes}`)] as const
}

/** A statement: what these transactions have added stays. `txs`: a subquery of their ids. */
export function settleMined({ orm }: Db, { chain, txs }: { chain: number; txs: SQL }) {
  return orm.run(sql`delete from consumer_changes where chain = ${chain} and source in ${txs}`)
}

/** Likewise, of verdicts below `horizon`, and of answers that were given up by a block below it; and what no limit looks back to is forgotten. */
export function forgetCounted({ orm, now }: Db, { chain, horizon }: { chain: number; horizon: number }) {
  return [
    orm.run(sql`
      delete from consumer_changes where chain = ${chain} and (${isDrop} or ${isVerdict}) and block < ${horizon}`),
    orm.run(sql`
      delete from consumer_hours indexed by consumer_hours_over
      where chain = ${chain} and hour < ${hourOf(now)} - ${keptHours}`),
  ] as const
}
