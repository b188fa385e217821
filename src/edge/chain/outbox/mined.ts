import { sql } from 'drizzle-orm'
import type { Address, Hex } from 'viem'
import type { Subscription } from '../chain.ts'
import { delegatedDeliverSelector } from '../delegated/calls.ts'
import { linkSubscription, lookAgain } from '../delegated/link.ts'
import { begunTwice } from '../delegated/twice.ts'
import { countMined, type MinedAnswer } from '../guard/record.ts'
import { shares } from '../guard/share.ts'
import { entriesOf } from '../ledger/entries.ts'
import { partiesOf } from '../ledger/parties.ts'
import { book } from '../ledger/write.ts'
import { beginProofs } from '../proofs/begin.ts'
import { outcomeOf } from '../proofs/verdict.ts'
import { isStaked } from '../stakes/purse.ts'
import { wakeStaked } from '../stakes/wake.ts'
import type { Step } from '../step.ts'
import { answered, keyOf } from './batch.ts'
import type { Key } from './computed.ts'
import { readFound } from './found.ts'
import type { Open } from './open.ts'
import type { Receipt } from './receipt.ts'
import { restoreDelivery } from './restore.ts'

/** Times that an answer may be mined and fail. */
const maxReverts = 3
const firstPauseMs = 2_000

/**
 * `place`: of its delegation, where the chain did not have the subscription. `creates`: whether the answer would have created it. `given_up`: call
 * data of one whose interval was begun twice, and that was not kept.
 */
type Carried = {
  subscription: number
  interval: number
  tries: number
  gas: number | null
  /** Who asked, and for how much; null: it is gone. */
  owner: string | null
  price: string | null
  place: number | null
  creates: number
  given_up: Hex | null
  /** Whether its proof is backed with money of the node. */
  staked: number
  /** The wallet that it names. */
  nodeWallet: Address | null
}

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
  const carried = await orm.all<Carried>(
    sql`select subscription, interval, tries, gas,
      (select owner from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) as owner,
      (select payment_amount from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) as price,
      (select place from delegations where delegations.chain = deliveries.chain
      and delegations.subscription = deliveries.subscription and delegations.subscription < 0) as place,
      call is not null and call like ${`${delegatedDeliverSelector}%`} as creates, stake_token is not null as staked, node_wallet as "nodeWallet",
      iif(interval < 0 and state = 'dropped' and reason = ${begunTwice.reason}, call, null) as given_up
      from deliveries indexed by deliveries_tx where tx = ${open.id}`,
  )
  // What was mined may be what was to replace it, and carries nothing.
  const isAnswer = receipt.to === contracts.coordinator
  const fates = carried.map(delivery => fateOf(step, { delivery, receipt, isAnswer }))
  const restored = isAnswer ? carried.flatMap(delivery => restoredBy(step, { delivery, receipt })) : []
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
  const found = await readFound(step, { answers: fates, receipt })
  const answers = fates.map(fate => {
    const to = restored.find(({ from }) => isSameKey(from, fate))?.to
    if (to) return { ...fate, ...to, key: keyOf(to), delivered: true }
    const subscription = fate.created ?? fate.subscription
    return { ...fate, ...askedBy(found.get(subscription)), subscription }
  })
  const proven = answers
    .filter(({ delivered, staked }) => delivered && staked === 1)
    .map(({ subscription, interval }) => ({ subscription, interval }))
  const parties = await partiesOf(step, answers, found)
  const entries = entriesOf(
    { moves: receipt.moves, gasUsed: receipt.gasUsed, gasCost: receipt.cost },
    isAnswer ? answers.map(answer => ({ ...answer, parties: parties(answer) })) : [],
  )
  const [, , , stored] = await orm.batch([
    ...countMined(db, {
      chain: id,
      tx: open.id,
      block: receipt.block,
      answers: isAnswer ? answersOf(answers, { receipt, node: open.signer }) : [],
      guard: sql`exists (select 1 from transactions where id = ${open.id} and state in ('signed', 'sent'))`,
    }),
    orm.all(sql`
      update transactions set state = 'mined', mined_hash = ${receipt.hash}, mined_block = ${receipt.block},
        mined_block_hash = ${receipt.blockHash}, status = ${receipt.succeeded ? 1 : 0}, gas_used = ${receipt.gasUsed},
        gas_price = ${String(receipt.gasPrice)}, problem = null, passed_block = null, passed_at = null,
        left_at = null
      where id = ${open.id} and state in ('signed', 'sent') returning id`),
    orm.run(sql`
      update deliveries set state = item.value ->> 'to', tx = iif(item.value ->> 'to' = 'computed', null, tx),
        tries = tries + (item.value ->> 'to' <> 'delivered'),
        not_before = iif(item.value ->> 'to' = 'computed', ${now} + (item.value ->> 'p'), not_before),
        reason = iif(item.value ->> 'to' = 'delivered', null, 'reverted'),
        message = iif(item.value ->> 'to' = 'delivered', null, 'The delivery was mined, and reverted.')
      from json_each(${items}) as item
      where chain = ${id} and subscription = item.value ->> 's' and interval = item.value ->> 'i' and tx = ${open.id} and ${isMined}
        and (state = 'sending' or (state = 'dropped' and item.value ->> 'to' = 'delivered'))`),
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
    ...restored.flatMap(each => restoreDelivery(db, { chain: id, tx: open.id, guard: isMined, ...each })),
    ...fates.flatMap(({ place, created }) => {
      if (place === null || created === null) return []
      // What was there before may be another, signed with the same nonce: the next look tells.
      if (!receipt.created.includes(created)) return [lookAgain(db, { chain: id, place, guard: isMined })]
      const block = { number: receipt.block, hash: receipt.blockHash }
      return linkSubscription(db, { chain: id, link: { place, id: created }, block, guard: isMined })
    }),
    ...(proven.length === 0
      ? []
      : [
          beginProofs(db, {
            chain: id,
            node: open.signer,
            answers: proven,
            receipt,
            time: step.latest.time,
            guard: isMined,
          }),
        ]),
    ...(open.kind === 'approve' ? [wakeStaked(step, 'stake_unapproved')] : []),
  ])
  if (stored.length === 0) return
  tell(step, { open, receipt, fates })
}

/** What another asks for that has the nonce of what was signed; its owner is the same. */
function askedBy(found: Subscription | undefined): Partial<Pick<Carried, 'price' | 'staked'>> {
  return found === undefined ? {} : { price: String(found.paymentAmount), staked: isStaked(found) ? 1 : 0 }
}

type Fate = ReturnType<typeof fateOf>

function tell(
  { chain, log }: Step,
  { open, receipt, fates }: { open: Open; receipt: Receipt; fates: readonly Fate[] },
): void {
  const { id } = chain.config
  if (open.kind === 'approve' || open.kind === 'finalize')
    log.info('Errand mined', { chain: id, kind: open.kind, hash: receipt.hash, succeeded: receipt.succeeded })
  const fields = { chain: id, nonce: open.nonce, hash: receipt.hash, block: receipt.block }
  for (const { created, interval, delivered, isOver, ...carried } of fates) {
    const subscription = created ?? carried.subscription
    if (created !== null && receipt.created.includes(created))
      log.info('Delegated subscription created', { ...fields, subscription })
    if (delivered) log.info('Delivered', { ...fields, subscription, interval, gas: receipt.gasUsed })
    else if (open.kind === 'deliver') log.warn('Evicted failed tx', { ...fields, subscription, interval })
    if (isOver && open.kind === 'deliver')
      log.warn('Subscription has exceeded the maximum number of attempts', {
        chain: id,
        subscription,
        interval,
      })
  }
}

/** What has become of an answer. `created`: the subscription that it has created, or found there. */
function fateOf(
  { contracts }: Step,
  { delivery, receipt, isAnswer }: { delivery: Carried; receipt: Receipt; isAnswer: boolean },
) {
  // One that is gone from the chain was an answer to another subscription.
  const isHere = delivery.interval > 0
  // One that may have been created as well is alone in its transaction.
  const subscription = delivery.creates === 1 ? receipt.fulfilled[0] : delivery.subscription
  const created = delivery.place === null || subscription === undefined ? null : subscription
  // The first coordinators say nothing of an answer by itself, and take only one in a transaction.
  const isTaken =
    subscription !== undefined &&
    (contracts.features.batch ? receipt.judged.has(keyOf({ ...delivery, subscription })) : receipt.succeeded)
  const delivered = isAnswer && isTaken && isHere
  const isOver = !delivered && delivery.tries + 1 >= maxReverts
  const key = keyOf({ ...delivery, subscription: subscription ?? delivery.subscription })
  return { ...delivery, delivered, isOver, created: delivered ? created : null, key }
}

/** Of an answer that was given up for another to the same: the chain has taken this one after all. */
function restoredBy(
  { contracts }: Step,
  { delivery: { subscription, interval, given_up }, receipt }: { delivery: Carried; receipt: Receipt },
): { from: Key; to: Key }[] {
  const told = given_up === null ? null : answered(given_up)
  const id = told?.subscription ?? receipt.fulfilled[0]
  if (told === null || id === undefined) return []
  const to = { subscription: id, interval: told.interval }
  const isTaken = contracts.features.batch ? receipt.judged.has(keyOf(to)) : receipt.succeeded
  return isTaken ? [{ from: { subscription, interval }, to }] : []
}

function isSameKey(one: Key, other: Key): boolean {
  return one.subscription === other.subscription && one.interval === other.interval
}

/** For the records of those who asked: each with its part of the gas. What is gone from the chain was nobody's wish. */
function answersOf(
  fates: readonly (Carried & { delivered: boolean; key: string })[],
  { receipt: { gasUsed, gasPrice: price, moves, verdicts }, node }: { receipt: Receipt; node: Address },
): MinedAnswer[] {
  const parts = shares(
    gasUsed,
    fates.map(({ gas }) => gas ?? 0),
  )
  // An answer that is rejected for its proof brings nothing, and may cost the stake.
  const rejected = new Set([
    ...moves.flatMap(move => (move.kind === 'judged' && !move.accepted ? [move.key] : [])),
    // The first coordinators tell it by the proof alone.
    ...verdicts.filter(verdict => verdict.node === node && outcomeOf(verdict) === 'rejected').map(keyOf),
  ])
  return fates.flatMap(({ owner, price: amount, interval, delivered, key }, index) =>
    owner !== null && interval > 0
      ? [
          {
            owner,
            isPaid: amount !== '0',
            outcome: delivered ? (rejected.has(key) ? 'rejected' : 'delivered') : 'failed',
            gas: parts[index] ?? 0,
            price,
          },
        ]
      : [],
  )
}
