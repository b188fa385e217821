import { type SQL, sql } from 'drizzle-orm'
import type { LedgerDay, LedgerEntry } from '../../../protocol/ledger.ts'
import type { Db } from '../../db/open.ts'
import { sumColumns, toSum } from './amounts.ts'
import { secondsOfDay } from './write.ts'

/** Days are counted from 1970-01-01, both included. `after`: only what follows this place, as a page's last row has it. */
export type LedgerQuestion = {
  chain: number
  from: number
  to: number
  consumer: string | null
  token: string | null
  after: readonly (string | number)[] | null
  limit: number
}

/** A row and its place. */
export type Placed<Row> = { row: Row; place: readonly (string | number)[] }

const amounts = ['payment', 'slashed', 'owed', 'owing', 'protocol_fee', 'verifier_fee', 'gas_cost'] as const

type Group = {
  day: number
  consumer: string
  token: string
  answers: number
  rejected: number
  failed: number
  gas_used: number
}

/** What each consumer paid in each token on each day, by the index `ledger_days`: the oldest first. */
export async function readLedgerDays(db: Db, question: LedgerQuestion): Promise<Placed<LedgerDay>[]> {
  const columns = sql.join(amounts.map(sumColumns), sql`, `)
  const groups = await db.orm.all<Group & Record<string, unknown>>(sql`
    select day, consumer, token, sum(kind = 'answer') as answers, sum(kind = 'rejected') as rejected, sum(kind = 'failed') as failed,
      sum(gas_used) as gas_used, ${columns}
    from ledger indexed by ledger_days
    where ${among(question, ['day', 'consumer', 'token'])}
    group by day, consumer, token order by day, consumer, token limit ${question.limit}`)
  return groups.map(group => {
    const { day, consumer, token, answers, rejected, failed, gas_used } = group
    return {
      row: {
        day: toDate(day),
        consumer: consumer || null,
        token,
        answers,
        rejected,
        failed,
        payment: toSum(group, 'payment'),
        slashed: toSum(group, 'slashed'),
        owed: toSum(group, 'owed'),
        owing: toSum(group, 'owing'),
        protocol_fee: toSum(group, 'protocol_fee'),
        verifier_fee: toSum(group, 'verifier_fee'),
        gas_used,
        gas_cost: toSum(group, 'gas_cost'),
      },
      place: [day, consumer, token],
    }
  })
}

type EntryRow = Omit<LedgerEntry, 'day' | 'consumer'> & {
  day: number
  consumer: string
  tx: string
  seq: number
}

/** Each row of the books, the oldest day first. */
export async function readLedgerEntries(db: Db, question: LedgerQuestion): Promise<Placed<LedgerEntry>[]> {
  const rows = await db.orm.all<EntryRow>(sql`
    select tx, seq, day, at, hash, block, kind, subscription, interval, consumer, token, payment, slashed, owed, owing, protocol_fee,
      verifier_fee, gas_used, gas_cost
    from ledger indexed by ledger_days
    where ${among(question, ['day', 'consumer', 'token', 'tx', 'seq'])}
    order by day, consumer, token, tx, seq limit ${question.limit}`)
  return rows.map(({ tx, seq, day, consumer, ...rest }) => ({
    row: { ...rest, day: toDate(day), consumer: consumer || null },
    place: [day, consumer, rest.token, tx, seq],
  }))
}

/** `columns`: of a place, as the index has them. */
function among({ chain, from, to, consumer, token, after }: LedgerQuestion, columns: readonly string[]): SQL {
  const ofConsumer = consumer === null ? sql`` : sql`and consumer = ${consumer}`
  const inToken = token === null ? sql`` : sql`and token = ${token}`
  const begin = after === null ? sql`day >= ${from}` : beyond(after, { from, columns })
  return sql`chain = ${chain} and ${begin} and day <= ${to} ${ofConsumer} ${inToken}`
}

/** The place is where the index is entered: with a first day to enter it at, each page would walk through all before it. */
function beyond(
  after: readonly (string | number)[],
  { from, columns }: { from: number; columns: readonly string[] },
): SQL {
  const values = sql.join(
    after.map(value => sql`${value}`),
    sql`, `,
  )
  return sql`(${sql.raw(columns.join(', '))}) > (${values}) and +day >= ${from}`
}

/** Days from 1970-01-01 on, as a date; and back. */
export function toDate(day: number): string {
  return new Date(day * secondsOfDay * 1000).toISOString().slice(0, 10)
}

/** null: there is no such day. */
export function toDay(date: string): number | null {
  const time = Date.parse(`${date}T00:00:00Z`)
  return Number.isNaN(time) || toDate(time / 1000 / secondsOfDay) !== date ? null : time / 1000 / secondsOfDay
}
