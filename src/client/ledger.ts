import * as v from 'valibot'
import { LedgerDay, LedgerEntry } from '../protocol/ledger.ts'
import { badAnswer, parse } from './answer.ts'
import type { CallOptions, Transport } from './transport.ts'

/** Older nodes tell of no debts. */
const debts = {
  owed: v.optional(LedgerDay.entries.owed, '0'),
  owing: v.optional(LedgerDay.entries.owing, '0'),
}
const AnyDay = v.object({ ...LedgerDay.entries, ...debts })
const AnyEntry = v.object({ ...LedgerEntry.entries, ...debts })

export type LedgerOptions = CallOptions & {
  /** Chain id; not needed where the node serves one. */
  chain?: number
  /** First and last day, such as `2026-01-31`; the last 31 days otherwise. */
  from?: string
  to?: string
  /** Addresses. */
  consumer?: string
  token?: string
  /** Rows of one request, 1,000 at most. */
  limit?: number
}

/** Sums of each day, consumer and token, the oldest first; page after page as they are consumed. */
export async function* readLedger(
  transport: Transport,
  options: LedgerOptions = {},
): AsyncGenerator<LedgerDay, void, undefined> {
  yield* readPages(transport, { by: 'day', row: AnyDay }, options)
}

/** Every entry, likewise. */
export async function* readLedgerEntries(
  transport: Transport,
  options: LedgerOptions = {},
): AsyncGenerator<LedgerEntry, void, undefined> {
  yield* readPages(transport, { by: 'entry', row: AnyEntry }, options)
}

async function* readPages<Row extends v.GenericSchema>(
  transport: Transport,
  { by, row }: { by: string; row: Row },
  { signal, ...asked }: LedgerOptions,
): AsyncGenerator<v.InferOutput<Row>, void, undefined> {
  const Page = v.object({ rows: v.array(row), next: v.nullable(v.string()) })
  const query = new URLSearchParams({ by })
  for (const [name, value] of Object.entries(asked)) query.set(name, String(value))
  for (;;) {
    const answer = await transport.send({
      method: 'GET',
      path: '/api/ledger',
      query,
      repeatable: true,
      signal,
    })
    const { rows, next } = parse(Page, answer)
    yield* rows
    if (next === null) return
    if (next === query.get('after')) throw badAnswer(answer, 'its next page is itself')
    query.set('after', next)
  }
}
