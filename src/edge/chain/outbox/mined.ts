import { sql } from 'drizzle-orm'
import { type Address, zeroAddress } from 'viem'
import { delegatedDeliverSelector } from '../delegated/calls.ts'
import { linkSubscription } from '../delegated/link.ts'
import { entriesOf } from '../ledger/entries.ts'
import type { Parties } from '../ledger/sums.ts'
import { book } from '../ledger/write.ts'
import type { Step } from '../step.ts'
import { keyOf } from './batch.ts'
import type { Open } from './open.ts'
import type { Receipt } from './receipt.ts'

/** Times that an answer may be mined and fail. */
const maxReverts = 3
const firstPauseMs = 2_000

/** `place`: of its delegation, where the chain did not have the subscription. `creates`: whether the answer would have created it. */
type Carried = {
  subscription: number
  interval: number
  tries: number
  place: number | null
  creates: number
  owner: Address | null
  wallet: Address
  token: Address
  verifier: Address
}

/**
 * Writes down that a transaction was mined, and what has become of the answers that it carried: delivered, or to be tried again, or given up.
 * Its block goes into the journal, what it moved and cost into the books. `at`: unix seconds of block time.
 */
export async function writeMined(
  step: Step,
  { open, receipt, at }: { open: Open; receipt: Receipt; at: number },
): Promise<void> {
  const { db, chain, log, contracts } = step
  const { orm, now } = db
  const { id } = chain.config
  const carried = await orm.all<Carried>(
    sql`select subscription, interval, deliveries.tries, (select place from delegations where delegations.chain = deliveries.chain
      and delegations.subscription = deliveries.subscription and delegations.subscription < 0) as place,
      call is not null and call like ${`${delegatedDeliverSelector}%`} as creates,
      owner, wallet, payment_token as token, verifier
      from deliveries indexed by deliveries_tx
      left join subscriptions on subscriptions.chain = deliveries.chain and subscriptions.id = deliveries.subscription
      where tx = ${open.id}`,
  )
  // What was mined may be what was to replace it, and carries nothing.
  const isAnswer = receipt.to === contracts.coordinator
  const fates = carried.map(delivery => {
    // One that is gone from the chain was an answer to another subscription.
    const isHere = delivery.interval > 0
    // One that may have been created as well is alone in its transaction.
    const subscription = delivery.creates === 1 ? receipt.fulfilled[0] : delivery.subscription
    const created = delivery.place === null || subscription === undefined ? null : subscription
    // The first coordinators say nothing of an answer by itself, and take only one in a transaction.
    const isTaken =
      subscription !== undefined &&
      (contracts.features.batch
        ? receipt.judged.has(keyOf({ ...delivery, subscription }))
        : receipt.succeeded)
    const delivered = isAnswer && isTaken && isHere
    const isOver = !delivered && delivery.tries + 1 >= maxReverts
    const answered = { ...delivery, subscription: subscription ?? delivery.subscription }
    return { ...delivery, delivered, isOver, created: delivered ? created : null, key: keyOf(answered) }
  })
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
  const nodeWallet = chain.config.paymentAddress.toLowerCase() as Address
  const parties = ({ owner, wallet, token, verifier }: Carried): Parties | null =>
    owner && {
      owner,
      wallet,
      token,
      nodeWallet,
      feeRecipient: contracts.feeRecipient,
      hasVerifier: verifier !== zeroAddress,
    }
  const entries = entriesOf(
    { moves: receipt.moves, gasUsed: receipt.gasUsed, gasCost: receipt.cost },
    isAnswer
      ? fates.map(fate => ({
          subscription: fate.created ?? fate.subscription,
          interval: fate.interval,
          key: fate.key,
          delivered: fate.delivered,
          parties: parties(fate),
        }))
      : [],
  )
  const [stored] = await orm.batch([
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
    ...fates.flatMap(({ place, created }) =>
      place === null || created === null
        ? []
        : linkSubscription(db, {
            chain: id,
            link: { place, id: created },
            block: { number: receipt.block, hash: receipt.blockHash },
            guard: isMined,
          }),
    ),
  ])
  if (stored.length === 0) return
  const fields = { chain: id, nonce: open.nonce, hash: receipt.hash, block: receipt.block }
  for (const { created, interval, delivered, isOver, ...carried } of fates) {
    const subscription = created ?? carried.subscription
    if (created !== null) log.info('Delegated subscription created', { ...fields, subscription })
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
