import { sql } from 'drizzle-orm'
import { type Address, zeroAddress } from 'viem'
import type { Subscription } from '../chain.ts'
import { linkSubscription, lookAgain } from '../delegated/link.ts'
import { countMined, type MinedAnswer } from '../guard/record.ts'
import { readUnpaidGas } from '../guard/unpaid-gas.ts'
import { type Costs, entriesOf } from '../ledger/entries.ts'
import { readFeeRecipients } from '../ledger/fee-recipients.ts'
import { partiesOf } from '../ledger/parties.ts'
import type { Parties } from '../ledger/sums.ts'
import { book } from '../ledger/write.ts'
import { beginProofs } from '../proofs/begin.ts'
import { outcomeOf as verdictOf } from '../proofs/verdict.ts'
import { isStaked } from '../stakes/purse.ts'
import { wakeStaked } from '../stakes/wake.ts'
import type { Step } from '../step.ts'
import { keyOf } from './batch.ts'
import { readBrought } from './brought.ts'
import { failed } from './failed.ts'
import { type Fate, fateOf } from './fate.ts'
import { readFound } from './found.ts'
import type { Open } from './open.ts'
import { fatesOf, rejoin } from './parted.ts'
import type { Receipt } from './receipt.ts'
import { restoreDelivery } from './restore.ts'

const firstPauseMs = 2_000

/**
 * Writes down that a transaction was mined, and what has become of the answers that it carried: delivered, or to be tried again, or given up.
 * Its block goes into the journal, what it moved and cost into the books. `at`: unix seconds of block time.
 */
export async function writeMined(
  step: Step,
  { open, receipt, at }: { open: Open; receipt: Receipt; at: number },
): Promise<void> {
  const { db, chain, contracts } = step
  const { orm, now } = db
  const { id } = chain.config
  // What was mined may be what was to replace it, and carries nothing.
  const isAnswer = receipt.to === contracts.coordinator
  const { carried, parted, omitted } = await readBrought(db, {
    chain: id,
    tx: open.id,
    hash: receipt.hash,
    isAnswer,
  })
  const others = fatesOf(step, parted, receipt)
  const taken = others.filter(({ answer }) => answer !== null)
  const fates = [...carried.map(each => fateOf(step, { carried: each, receipt })), ...others]
  const items = JSON.stringify(
    fates.map(({ subscription, interval, tries, delivered, isOver }) => ({
      s: subscription,
      i: interval,
      to: delivered ? 'delivered' : isOver ? 'dropped' : 'computed',
      p: firstPauseMs * 2 ** tries,
    })),
  )
  const isMined = sql`exists (select 1 from transactions where id = ${open.id} and state = 'mined' and mined_hash = ${receipt.hash}
    and mined_block_hash = ${receipt.blockHash})`
  const found = await readFound(step, { fates, receipt })
  const answers = fates.map(fate => answerOf(fate, found))
  const proven = answers.flatMap(({ isTaken, subscription, interval, stake, nodeWallet }) =>
    isTaken && stake !== null ? [{ subscription, interval, stake, nodeWallet }] : [],
  )
  const parties = await readParties(step, { answers, found, block: receipt.block })
  const outcomeOf = outcomesIn(receipt, open.signer)
  const entries = entriesOf(
    { moves: receipt.moves, gasUsed: receipt.gasUsed, gasCost: receipt.cost },
    answers.map(answer => ({
      ...answer,
      outcome: outcomeOf(answer),
      isPaid: answer.price !== '0',
      parties: parties(answer),
    })),
  )
  const mined = await answersOf(step, { answers, costs: entries, price: receipt.gasPrice, outcomeOf })
  const [, , , stored] = await orm.batch([
    ...countMined(db, {
      chain: id,
      tx: open.id,
      block: receipt.block,
      answers: mined,
      guard: sql`exists (select 1 from transactions where id = ${open.id} and state in ('signed', 'sent'))`,
    }),
    orm.all(sql`
      update transactions set state = 'mined', mined_hash = ${receipt.hash}, mined_block = ${receipt.block},
        mined_block_hash = ${receipt.blockHash}, status = ${receipt.succeeded ? 1 : 0}, gas_used = ${receipt.gasUsed},
        gas_price = ${String(receipt.gasPrice)}, problem = null, passed_block = null, passed_at = null,
        left_at = null
      where id = ${open.id} and state in ('signed', 'sent') returning id`),
    ...(taken.length === 0 ? [] : [rejoin(db, { chain: id, tx: open.id, taken, guard: isMined })]),
    orm.run(sql`
      update deliveries set state = item.value ->> 'to', tx = iif(item.value ->> 'to' = 'computed', null, tx),
        tries = tries + (item.value ->> 'to' <> 'delivered'),
        not_before = iif(item.value ->> 'to' = 'computed', ${now} + (item.value ->> 'p'), not_before),
        reason = iif(item.value ->> 'to' = 'delivered', null, ${failed.reason}),
        message = iif(item.value ->> 'to' = 'delivered', null, ${failed.message})
      from json_each(${items}) as item
      where chain = ${id} and subscription = item.value ->> 's' and interval = item.value ->> 'i' and tx = ${open.id} and ${isMined}
        and (state = 'sending' or (state = 'dropped' and item.value ->> 'to' = 'delivered'))`),
    // One that was delivered, in a block that is undone, by what had been replaced.
    ...(omitted.length === 0
      ? []
      : [
          orm.run(sql`
            update deliveries set state = 'computed', tx = null where tx = ${open.id} and state = 'sending' and ${isMined}`),
        ]),
    // What the journal has of this height stays: another hash tells the next look of a reorganisation.
    orm.run(sql`
      insert into chain_blocks (chain, number, hash) select ${id}, ${receipt.block}, ${receipt.blockHash} where ${isMined}
      on conflict (chain, number) do nothing`),
    book(db, {
      chain: id,
      tx: open.id,
      mined: { hash: receipt.hash, block: receipt.block, at },
      entries,
      guard: isMined,
    }),
    ...fates.flatMap(({ place, created }) => {
      if (place === null || created === null) return []
      // What was there before may be another, signed with the same nonce: the next look tells.
      if (!receipt.created.includes(created)) return [lookAgain(db, { chain: id, place, guard: isMined })]
      const block = { number: receipt.block, hash: receipt.blockHash }
      return linkSubscription(db, { chain: id, link: { place, id: created }, block, guard: isMined })
    }),
    // After those, which may have something else under the id.
    ...fates.flatMap(({ subscription, interval, answer, isRestored }) =>
      isRestored && answer !== null
        ? restoreDelivery(db, {
            chain: id,
            tx: open.id,
            from: { subscription, interval },
            to: answer,
            guard: isMined,
          })
        : [],
    ),
    ...(proven.length === 0
      ? []
      : [
          beginProofs(db, {
            chain: id,
            node: open.signer,
            tx: open.id,
            answers: proven,
            receipt,
            time: step.latest.time,
            guard: isMined,
          }),
        ]),
    ...(open.kind === 'approve'
      ? [wakeStaked(step, 'stake_unapproved'), wakeStaked(step, 'approval_unprofitable')]
      : []),
    // Only where stakes are limited does anything wait for one.
    ...(chain.config.guard.verifiers !== null &&
    (answers.some(answer => isFreed(answer, receipt)) || omitted.some(({ stake }) => stake !== null))
      ? [wakeStaked(step, 'stake_limit')]
      : []),
  ])
  if (stored.length === 0) return
  tell(step, { open, receipt, fates })
}

/** An answer, under what the chain has taken it for. `found`: that which may have other terms than were asked for. */
function answerOf({ answer, ...fate }: Fate, found: ReadonlyMap<number, Subscription>) {
  const given = { ...fate, ...answer, isTaken: answer !== null }
  const terms = answer === null ? undefined : found.get(answer.subscription)
  if (terms === undefined) return given
  const { owner, verifier, paymentToken: token, paymentAmount: amount } = terms
  const stake = isStaked(terms) ? { token, amount, verifier } : null
  return { ...given, owner, token, price: String(amount), payout: null, stake }
}

type Answer = ReturnType<typeof answerOf>

/** Whose money answers have moved. Of those that a verifier judges the chain is asked who had the protocol's fee: the logs do not tell the two apart. */
async function readParties(
  step: Step,
  {
    answers,
    found,
    block,
  }: { answers: readonly Answer[]; found: ReadonlyMap<number, Subscription>; block: number },
): Promise<(answer: Answer) => Parties | null> {
  const parties = await partiesOf(step, answers, found)
  const isJudged = (answer: Answer) =>
    answer.isTaken && answer.price !== '0' && parties(answer)?.hasVerifier === true
  if (!answers.some(isJudged)) return parties
  const feeRecipients = await readFeeRecipients(step, block)
  return answer => {
    const whose = parties(answer)
    return whose && { ...whose, feeRecipients }
  }
}

/** Whether its stake is at risk no more: judged with its answer; or its answer was not taken, unless that is tried again, which is looked at then. */
function isFreed({ stake, isTaken, key }: Answer, { verdicts }: Receipt): boolean {
  return stake !== null && (!isTaken || verdicts.some(verdict => keyOf(verdict) === key))
}

/** What became of each. One that is rejected for its proof brings nothing, and may cost the stake. */
function outcomesIn(
  { moves, verdicts }: Receipt,
  node: Address,
): (answer: Pick<Answer, 'isTaken' | 'key'>) => MinedAnswer['outcome'] {
  const rejected = new Set([
    ...moves.flatMap(move => (move.kind === 'judged' && !move.accepted ? [move.key] : [])),
    // The first coordinators tell it by the proof alone.
    ...verdicts.filter(verdict => verdict.node === node && verdictOf(verdict) === 'rejected').map(keyOf),
  ])
  return ({ isTaken, key }) => (isTaken ? (rejected.has(key) ? 'rejected' : 'delivered') : 'failed')
}

function tell(
  { chain, log }: Step,
  { open, receipt, fates }: { open: Open; receipt: Receipt; fates: readonly Fate[] },
): void {
  const { id } = chain.config
  if (open.kind === 'approve' || open.kind === 'finalize')
    log.info('Errand mined', { chain: id, kind: open.kind, hash: receipt.hash, succeeded: receipt.succeeded })
  const fields = { chain: id, nonce: open.nonce, hash: receipt.hash, block: receipt.block }
  for (const { created, answer, isOver, ...carried } of fates) {
    const { subscription, interval } = answer ?? carried
    if (created !== null && receipt.created.includes(created))
      log.info('Delegated subscription created', { ...fields, subscription })
    if (answer !== null) log.info('Delivered', { ...fields, subscription, interval, gas: receipt.gasUsed })
    else if (open.kind === 'deliver') log.warn('Evicted failed tx', { ...fields, subscription, interval })
    if (isOver && open.kind === 'deliver')
      log.warn('Subscription has exceeded the maximum number of attempts', {
        chain: id,
        subscription,
        interval,
      })
  }
}

/**
 * For the records of those who asked: each with its part of the gas, as it is booked. What is gone from the chain was nobody's wish. A race that was lost counts: whoever
 * came first may be who asked, and has for the protocol's fee alone what was computed here.
 */
async function answersOf(
  { policy, chain }: Step,
  {
    answers,
    costs,
    price,
    outcomeOf,
  }: {
    answers: readonly Answer[]
    costs: readonly Costs[]
    price: bigint
    outcomeOf: ReturnType<typeof outcomesIn>
  },
): Promise<MinedAnswer[]> {
  const { prices } = chain.config.guard.worth
  const earnings = answers.map(({ payout, price: amount, token, route }, index) => ({
    payout: BigInt(payout ?? amount ?? 0),
    token: token ?? zeroAddress,
    route,
    gas: costs[index]?.gasUsed ?? 0,
  }))
  const unpaid = await readUnpaidGas({ policy, prices }, { answers: earnings, price })
  return answers.flatMap((answer, index) => {
    const { owner, price: amount, interval } = answer
    if (owner === null || interval <= 0) return []
    return [
      {
        owner,
        isPaid: amount !== '0',
        outcome: outcomeOf(answer),
        gas: costs[index]?.gasUsed ?? 0,
        unpaidGas: unpaid[index] ?? 0,
        cost: costs[index]?.gasCost ?? 0n,
      },
    ]
  })
}
