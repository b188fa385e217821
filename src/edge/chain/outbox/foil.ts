import { toWord } from '../call.ts'
import type { Subscription } from '../chain.ts'
import { createdIdCall } from '../delegated/calls.ts'
import { isCreatedAs } from '../delegated/created-as.ts'
import { isUncreated } from '../delegated/signed.ts'
import { storedCall, toStored } from '../delegated/stored.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import { noTerms, toSubscription } from '../subscription.ts'
import { creation } from './batch.ts'
import type { Computed } from './computed.ts'
import { dropDeliveries } from './drop.ts'

type Creating = { delivery: Computed; signed: Subscription; nonce: number }

/** Asks, at the newest block, for what the nonces have created of answers that are to create what they answer. */
export function foilCalls({ contracts, latest }: Step, deliveries: readonly Computed[]): RpcCall[] {
  return creatingOf(deliveries).map(({ signed: { owner }, nonce }) =>
    createdIdCall({ owner, nonce }, { contracts, at: latest.number }),
  )
}

/**
 * Drops answers whose nonces have created something else: the coordinator would not compare, and give them to that. `answers`: to `foilCalls`.
 * One request more where anything was created.
 * @returns the others.
 */
export async function withoutFoiled(
  step: Step,
  { deliveries, answers }: { deliveries: readonly Computed[]; answers: readonly RpcAnswer[] },
): Promise<ReadonlySet<Computed>> {
  const { db, chain, contracts, latest, log } = step
  const asked = creatingOf(deliveries).map((creating, index) => ({
    ...creating,
    told: toWord(answers[index]),
  }))
  // What is not told now is by the next look.
  const unread = asked.filter(({ told }) => told === null).map(({ delivery }) => delivery)
  const created = asked.flatMap(({ told, ...creating }) =>
    told === null || told === 0n ? [] : [{ ...creating, id: Number(told) }],
  )
  if (created.length === 0) return without(deliveries, unread)
  const stored = await chain.rpc.send(
    created.map(({ id }) => storedCall(id, { contracts, at: latest.number })),
  )
  const foiled = created.filter(({ signed, id }, index) => {
    const told = toStored(id, stored[index])
    return told !== null && !isCreatedAs(signed, told)
  })
  const dropped = foiled.map(({ delivery: { subscription, interval } }) => ({
    subscription,
    interval,
    reason: 'nonce_used',
    message: 'The nonce was used for another subscription',
  }))
  await dropDeliveries(db, { chain: chain.config.id, dropped, block: latest })
  for (const { subscription, interval, message } of dropped)
    log.warn('Did not send tx', { chain: chain.config.id, subscription, interval, error: message })
  return without(deliveries, [...unread, ...foiled.map(({ delivery }) => delivery)])
}

function without(deliveries: readonly Computed[], left: readonly Computed[]): ReadonlySet<Computed> {
  return new Set(deliveries.filter(delivery => !left.includes(delivery)))
}

function creatingOf(deliveries: readonly Computed[]): Creating[] {
  return deliveries.flatMap(delivery => {
    const told = isUncreated({ id: delivery.subscription }) ? creation(delivery.call) : null
    return told === null
      ? []
      : [
          {
            delivery,
            nonce: told.nonce,
            signed: toSubscription(delivery.subscription, told.subscription, noTerms),
          },
        ]
  })
}
