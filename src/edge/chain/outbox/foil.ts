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
  const created = creatingOf(deliveries).flatMap((creating, index) => {
    const id = Number(toWord(answers[index]) ?? 0n)
    return id === 0 ? [] : [{ ...creating, id }]
  })
  if (created.length === 0) return new Set(deliveries)
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
  const left = new Set(foiled.map(({ delivery }) => delivery))
  return new Set(deliveries.filter(delivery => !left.has(delivery)))
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
