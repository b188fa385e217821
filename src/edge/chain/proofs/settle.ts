import { sql } from 'drizzle-orm'
import { isOfJournal, noteBlock } from '../journal.ts'
import { keyOf } from '../outbox/batch.ts'
import { wakeStaked } from '../stakes/wake.ts'
import type { Step } from '../step.ts'
import { bookVerdicts, readVerdictReceipts } from './book.ts'
import type { Key } from './proof.ts'
import type { Outcome, Placed } from './verdict.ts'

/** A proof that waits no longer. `verdict` null: no log tells of it. `refunds`: without one in time the consumer gets the pay back. */
export type Settled = Key & { state: Outcome | 'settled'; verdict: Placed | null; refunds: boolean }

/**
 * Writes and books what has become of these, with the blocks in which it has: one that is undone undoes it.
 * @returns the settled ones: the others are to be found again.
 */
export async function settleProofs(step: Step, found: readonly Settled[]): Promise<ReadonlySet<Settled>> {
  const receipts = await readVerdictReceipts(step, found)
  // Whose receipt is not told yet stays as it is, and is found again: once it is settled nobody would book it.
  const settled = found.filter(one => one.verdict === null || receipts.has(one))
  if (settled.length === 0) return new Set()
  const { db, chain, block } = step
  const { id } = chain.config
  const items = settled.map(({ subscription, interval, state, verdict, refunds }) => ({
    c: id,
    s: subscription,
    i: interval,
    st: state,
    by: verdict?.by ?? null,
    h: verdict?.hash ?? null,
    b: verdict?.block ?? block.number,
    bh: verdict?.blockHash ?? block.hash,
    r: Number(refunds),
  }))
  const blocks = settled.map(({ verdict }) => ({
    number: verdict?.block ?? block.number,
    hash: verdict?.blockHash ?? block.hash,
  }))
  const books = await bookVerdicts(step, { settled, receipts })
  // First: of two verdicts that are told of one height, in blocks that exclude each other, one is written.
  const notes = blocks.map(each => noteBlock(db, { chain: id, block: each }))
  const [first, ...others] = [
    ...notes,
    ...books,
    // Who is slashed gets nothing; nor does who got no verdict, where that is in the terms.
    db.orm.all<Key>(sql`
      update proofs set state = item.value ->> 'st', due_at = null, problem = null, settled_by = item.value ->> 'by',
        settled_hash = item.value ->> 'h', settled_block = item.value ->> 'b', refunds = item.value ->> 'r',
        payout = iif(item.value ->> 'st' = 'rejected' or (item.value ->> 'st' = 'finalized' and item.value ->> 'r' = 1), '0', payout)
      from json_each(${JSON.stringify(items)}) as item
      where proofs.chain = item.value ->> 'c' and proofs.subscription = item.value ->> 's' and proofs.interval = item.value ->> 'i'
        and +proofs.state = 'pending' and ${isOfJournal({ chain: id, number: sql`item.value ->> 'b'`, hash: sql`item.value ->> 'bh'` })}
      returning subscription, interval`),
    // Only where stakes are limited does anything wait for one.
    ...(chain.config.guard.verifiers === null ? [] : [wakeStaked(step, 'stake_limit')]),
  ]
  if (first === undefined) return new Set()
  const results = await db.orm.batch([first, ...others])
  const written = new Set((results[notes.length + books.length] as Key[]).map(keyOf))
  return new Set(settled.filter(one => written.has(keyOf(one))))
}
