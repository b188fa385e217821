import { sql } from 'drizzle-orm'
import { verdictEntry } from '../ledger/entries.ts'
import { partiesOf } from '../ledger/parties.ts'
import { book, verdictTxOf } from '../ledger/write.ts'
import { keyOf } from '../outbox/batch.ts'
import { blockTimes } from '../outbox/block-times.ts'
import { readReceipt } from '../outbox/receipt.ts'
import type { Step } from '../step.ts'
import type { Settled } from './settle.ts'

/**
 * Statements that book what verdicts have moved, as the receipts of the transactions say in which they were given. What was judged with its answer is
 * booked with that; a verdict whose receipt nobody tells is not booked.
 * @throws RpcUnavailable
 */
export async function bookVerdicts(step: Step, settled: readonly Settled[]) {
  const { db, chain, contracts, log } = step
  const { id } = chain.config
  const found = settled.flatMap(one => (one.verdict === null ? [] : [{ ...one, hash: one.verdict.hash }]))
  if (found.length === 0) return []
  const answers = await chain.rpc.send(
    found.map(({ hash }) => ({ method: 'eth_getTransactionReceipt', params: [hash] })),
  )
  const receipts = answers.map(answer => readReceipt(answer, contracts.coordinator))
  const timeOf = await blockTimes(
    step,
    receipts.filter(receipt => receipt !== null),
  )
  const parties = await partiesOf(
    step,
    found.map(({ subscription }) => ({ subscription, place: null })),
  )
  return found.flatMap(({ subscription, interval }, index) => {
    const receipt = receipts[index] ?? null
    const whose = parties({ subscription, place: null })
    if (receipt === null || whose === null) {
      log.warn('Verdict not booked', { chain: id, subscription, interval })
      return []
    }
    const key = keyOf({ subscription, interval })
    const { hash, block, moves } = receipt
    const isPending = sql`exists (select 1 from proofs where chain = ${id} and subscription = ${subscription} and interval = ${interval}
      and state = 'pending')`
    return [
      book(db, {
        chain: id,
        tx: verdictTxOf({ chain: id, subscription, interval }),
        mined: { hash, block, at: timeOf(receipt) },
        entries: [verdictEntry(moves, { subscription, interval, key, parties: whose })],
        guard: isPending,
      }),
    ]
  })
}
