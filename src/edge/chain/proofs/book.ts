import { sql } from 'drizzle-orm'
import { atOnce } from '../at-once.ts'
import { countRejected } from '../guard/record.ts'
import { isOfJournal } from '../journal.ts'
import { verdictEntry } from '../ledger/entries.ts'
import { partiesOf } from '../ledger/parties.ts'
import { book, verdictTxOf } from '../ledger/write.ts'
import { anchorCall } from '../next-id.ts'
import { keyOf } from '../outbox/batch.ts'
import { blockTimes } from '../outbox/block-times.ts'
import { type Receipt, readReceipt } from '../outbox/receipt.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import { readAnswers } from './answers.ts'
import type { Settled } from './settle.ts'
import type { Placed, Verdict } from './verdict.ts'

export type BookVerdicts = { settled: readonly Settled[]; receipts: ReadonlyMap<Settled, Receipt> }

/** Verdicts whose receipts are asked for at once, each by itself: over one that an endpoint refuses it gives none of what is asked together. */
const requestsAtOnce = 4

/**
 * The receipts of the transactions in which verdicts were given.
 * @returns by verdict; one that no endpoint tells now, or that is of another block, or says nothing of the verdict, is left out.
 * @throws RpcUnavailable
 */
export async function readVerdictReceipts(
  step: Step,
  settled: readonly Settled[],
): Promise<ReadonlyMap<Settled, Receipt>> {
  const asked = settled.flatMap(one => (one.verdict === null ? [] : [{ one, verdict: one.verdict }]))
  const told = await atOnce(asked, {
    limit: requestsAtOnce,
    work: async ({ verdict }) => await readVerdictReceipt(step, verdict),
  })
  return new Map(
    asked.flatMap(({ one }, index) => {
      const receipt = told[index] ?? null
      return receipt === null ? [] : [[one, receipt]]
    }),
  )
}

async function readVerdictReceipt(
  { chain, contracts, block }: Step,
  verdict: Placed,
): Promise<Receipt | null> {
  const receiptOf = (answer: RpcAnswer | undefined) => {
    const receipt = readReceipt(answer, contracts.coordinator)
    const isIt = receipt?.blockHash === verdict.blockHash && receipt.verdicts.some(isSameAs(verdict))
    return isIt ? receipt : null
  }
  const call: RpcCall = {
    method: 'eth_getTransactionReceipt',
    params: [verdict.hash],
    // Another endpoint may have it where this one has not.
    doubt: result => (receiptOf({ result }) === null ? 'tells no receipt of a verdict' : null),
  }
  const [answer] = await chain.rpc.send([call], anchorCall(contracts, { at: block.number, ids: [] }))
  return receiptOf(answer)
}

function isSameAs(placed: Placed) {
  return ({ subscription, interval, node, isActive, isValid }: Verdict): boolean =>
    subscription === placed.subscription &&
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
      and state = 'pending') and ${isOfJournal({ chain: id, number: receipt.block, hash: receipt.blockHash })}`
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
