import { sql } from 'drizzle-orm'
import { countRejected } from '../guard/record.ts'
import { verdictEntry } from '../ledger/entries.ts'
import { partiesOf } from '../ledger/parties.ts'
import { book, verdictTxOf } from '../ledger/write.ts'
import { anchorCall } from '../next-id.ts'
import { keyOf } from '../outbox/batch.ts'
import { blockTimes } from '../outbox/block-times.ts'
import { type Receipt, readReceipt } from '../outbox/receipt.ts'
import type { Step } from '../step.ts'
import { readAnswers } from './answers.ts'
import type { Settled } from './settle.ts'
import type { Placed, Verdict } from './verdict.ts'

export type BookVerdicts = { settled: readonly Settled[]; receipts: ReadonlyMap<Settled, Receipt> }

/**
 * The receipts of the transactions in which verdicts were given.
 * @returns by verdict; one that is not told now, is of another block, or says nothing of the verdict, is left out.
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
      const isIt =
        receipt?.blockHash === one.verdict?.blockHash && receipt?.verdicts.some(isSameAs(one.verdict))
      return receipt && isIt ? [[one, receipt]] : []
    }),
  )
}

function isSameAs(placed: Placed | null) {
  return ({ subscription, interval, node, isActive, isValid }: Verdict): boolean =>
    subscription === placed?.subscription &&
    interval === placed.interval &&
    node === placed.node &&
    isActive === placed.isActive &&
    isValid === placed.isValid
}

/**
 * Statements that book what verdicts have moved, as the receipts say, and count against who asked what has brought nothing: rejected, or not judged in
 * time where that is not paid. What was judged with its answer is booked and counted with that.
 */
export async function bookVerdicts(step: Step, { settled, receipts }: BookVerdicts) {
  const { db, chain, log } = step
  const { id } = chain.config
  const found = settled.flatMap(one => {
    const receipt = receipts.get(one)
    return one.verdict === null || receipt === undefined
      ? []
      : [{ ...one.verdict, state: one.state, refunds: one.refunds, receipt }]
  })
  const timeOf = await blockTimes(
    step,
    found.map(({ receipt }) => receipt),
  )
  const answerOf = await readAnswers(step, found)
  const named = found.map(one => ({ ...one, place: null, nodeWallet: answerOf(keyOf(one)).nodeWallet }))
  const parties = await partiesOf(step, named)
  return named.flatMap(one => {
    const { subscription, interval, node, state, refunds, receipt } = one
    const whose = parties(one)
    if (whose === null) {
      log.warn('Verdict not booked', { chain: id, subscription, interval })
      return []
    }
    const key = keyOf({ subscription, interval })
    const { hash, block, moves } = receipt
    const isPending = sql`exists (select 1 from proofs where chain = ${id} and subscription = ${subscription} and interval = ${interval}
      and state = 'pending')`
    const tx = verdictTxOf({ chain: id, subscription, interval })
    const entry = verdictEntry(moves, { subscription, interval, key, node, parties: whose })
    // By the terms, not by what has moved: what a token has not let through is owed, and the wallet may be another by now.
    const isLost = state === 'rejected' || (state === 'finalized' && refunds)
    const { gas, cost } = answerOf(key)
    const rejected = { source: tx, owner: whose.owner, gas, cost }
    return [
      ...(isLost ? countRejected(db, { chain: id, block, rejected, guard: isPending }) : []),
      book(db, {
        chain: id,
        tx,
        mined: { hash, block, at: timeOf(receipt) },
        entries: [entry],
        guard: isPending,
      }),
    ]
  })
}
