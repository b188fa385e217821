import { sql } from 'drizzle-orm'
import { verdictEntry } from '../ledger/entries.ts'
import { partiesOf } from '../ledger/parties.ts'
import { book, verdictTxOf } from '../ledger/write.ts'
import { anchorCall } from '../next-id.ts'
import { keyOf } from '../outbox/batch.ts'
import { blockTimes } from '../outbox/block-times.ts'
import { type Receipt, readReceipt } from '../outbox/receipt.ts'
import type { Step } from '../step.ts'
import type { Settled } from './settle.ts'

export type BookVerdicts = { settled: readonly Settled[]; receipts: ReadonlyMap<Settled, Receipt> }

/**
 * The receipts of the transactions in which verdicts were given.
 * @returns by verdict; one that is not told now, or is of another block, is left out.
 * @throws RpcUnavailable
 */
export async function readVerdictReceipts(
  { chain, contracts, block }: Step,
  settled: readonly Settled[],
): Promise<ReadonlyMap<Settled, Receipt>> {
  const asked = settled.filter(one => one.verdict !== null)
  if (asked.length === 0) return new Map()
  const answers = await chain.rpc.send(
    asked.map(({ verdict }) => ({ method: 'eth_getTransactionReceipt', params: [verdict?.hash] })),
    anchorCall(contracts, { at: block.number, ids: [] }),
  )
  return new Map(
    asked.flatMap((one, index) => {
      const receipt = readReceipt(answers[index], contracts.coordinator)
      return receipt !== null && receipt.blockHash === one.verdict?.blockHash ? [[one, receipt]] : []
    }),
  )
}

/** Statements that book what verdicts have moved, as the receipts say. What was judged with its answer is booked with that. */
export async function bookVerdicts(step: Step, { settled, receipts }: BookVerdicts) {
  const { db, chain, log } = step
  const { id } = chain.config
  const found = settled.flatMap(one => {
    const receipt = receipts.get(one)
    return one.verdict === null || receipt === undefined ? [] : [{ ...one.verdict, receipt }]
  })
  const timeOf = await blockTimes(
    step,
    found.map(({ receipt }) => receipt),
  )
  const parties = await partiesOf(
    step,
    found.map(({ subscription }) => ({ subscription, place: null })),
  )
  return found.flatMap(({ subscription, interval, node, receipt }) => {
    const whose = parties({ subscription, place: null })
    if (whose === null) {
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
        entries: [verdictEntry(moves, { subscription, interval, key, node, parties: whose })],
        guard: isPending,
      }),
    ]
  })
}
