import { hexToBigInt } from 'viem'
import { returned } from '../call.ts'
import { isUncreated } from '../delegated/signed.ts'
import { refusalOf } from '../refusal.ts'
import { isAboutMoney, isAllowed, isRevert, isUnnamed, ownRevert, type Revert } from '../reverts.ts'
import { isUnasked, type RpcAnswer, type RpcError } from '../rpc.ts'
import type { Step } from '../step.ts'
import { type Doubt, readDoubts } from './borne-out.ts'
import type { Computed } from './computed.ts'
import { type Dropped, dropDeliveries, postponeDeliveries } from './drop.ts'
import { revertIn, triedGas } from './estimate.ts'
import { explainLacking, type Lacking, mayLack } from './lacking.ts'
import { blamed, maxKnown, pauseAfter, unclearMs } from './patience.ts'
import type { Passed } from './plan.ts'
import { isUnpaid } from './unpaid.ts'

/** A consumer's own revert may be for the moment: so often it is tried again. */
const maxUnknown = 3

/** Drops and postpones what the chain would not take. @returns the others. */
export async function sift(
  step: Step,
  { deliveries, answers }: { deliveries: readonly Computed[]; answers: readonly RpcAnswer[] },
): Promise<Passed[]> {
  const { db, chain, latest, log } = step
  const { config } = chain
  const { maxGasLimit } = config.gas
  const passed: Passed[] = []
  const failed: Failed[] = []
  const tooLarge: Dropped[] = []
  for (const [index, delivery] of deliveries.entries()) {
    const { subscription, interval, owner } = delivery
    const answer = answers[index]
    // Another look is to come, without those that were silent by then.
    if (isUnpaid(answer) || isUnasked(answer)) continue
    const error = answer?.error
    const isTooDear = error !== undefined && !error.isUnclear && refusalOf(error) === 'out_of_gas'
    if (error !== undefined && !isTooDear && !isAllowed(error, config.allowedSimErrors)) {
      failed.push({ delivery, error, revert: revertIn(step, delivery, error) })
      continue
    }
    const told = returned(answer)
    const gas = told === null ? maxGasLimit : Number(hexToBigInt(told))
    if (isTooDear || gas > maxGasLimit) {
      const needed = isTooDear ? `more than ${triedGas * maxGasLimit}` : gas
      const message = `The delivery needs ${needed} gas; ${maxGasLimit} are the most.`
      tooLarge.push({ subscription, interval, reason: 'output_too_large', message, refused: owner })
      log.warn('Did not send tx', { chain: config.id, subscription, interval, error: message })
    } else passed.push({ ...delivery, gas })
  }
  const { dropped, lacking } = await refuse(step, failed)
  await dropDeliveries(db, { chain: config.id, dropped: [...tooLarge, ...dropped], block: latest })
  await putOff(step, lacking)
  return passed
}

/** An answer whose simulation failed. `revert` null: no endpoint says anything that is believed. */
type Failed = { delivery: Computed; error: RpcError; revert: Revert | null }

/** What becomes of them, once the chain bears out what nobody would be to blame for. */
async function refuse(
  step: Step,
  failed: readonly Failed[],
): Promise<{ dropped: Dropped[]; lacking: Lacking[] }> {
  const { chain, log } = step
  const doubts = await readDoubts(
    step,
    failed.flatMap(({ delivery, revert }) => (revert === null ? [] : [{ delivery, reason: revert.code }])),
  )
  const dropped: Dropped[] = []
  const lacking: Lacking[] = []
  for (const each of failed) {
    const { delivery } = each
    const { subscription, interval } = delivery
    const { reason, message, afterMs, counts } = judge(each, doubts.get(delivery))
    const isOver = afterMs === null
    if (isOver && !mayLack(delivery, reason))
      dropped.push({ subscription, interval, reason, message, ...blamed(reason, delivery) })
    else {
      const again = { afterMs: afterMs ?? pauseAfter(delivery.tries), counts }
      lacking.push({ postponed: { subscription, interval, reason, message, ...again }, delivery, isOver })
    }
    const fields = { chain: chain.config.id, subscription, interval, error: message }
    log.warn('Did not send tx', { ...fields, again: afterMs !== null })
  }
  return { dropped, lacking }
}

/** Postpones them, and drops what was tried often enough for want of somebody else's money. */
async function putOff(step: Step, lacking: readonly Lacking[]): Promise<void> {
  const { db, chain, latest } = step
  const { id } = chain.config
  const explained = await explainLacking(step, lacking)
  const dropped = explained
    .filter(({ isOver }) => isOver)
    .map(({ postponed: { subscription, interval, reason, message }, delivery }) => ({
      ...{ subscription, interval, reason, message },
      ...blamed(reason, delivery),
    }))
  await dropDeliveries(db, { chain: id, dropped, block: latest })
  const postponed = explained.filter(({ isOver }) => !isOver).map(one => one.postponed)
  await postponeDeliveries(db, { chain: id, postponed })
}

/** `afterMs`: when to try again; null: never. */
function judge({ delivery, error, revert: told }: Failed, doubt: Doubt | undefined) {
  const { subscription, deadline, tries } = delivery
  if (told === null || doubt === 'unclear') {
    const message = told === null ? error.message : `Whether ${told.code} is so could not be read`
    return { reason: 'unclear', message, afterMs: unclearMs, counts: 0 } as const
  }
  const revert = doubt === 'forged' ? ownRevert(told) : told
  // What is no revert is about gas or time, and says nothing of the consumer.
  const most = revert.isKnown || !isRevert(error) ? maxKnown : maxUnknown
  // What is still to be created has no interval, but a signature, which may be good for years.
  const isWaitedFor = isAboutMoney(revert) && deadline !== null && !isUncreated({ id: subscription })
  // What accuses somebody takes more than one look: another endpoint may have another block.
  const isSure = doubt !== 'forged' || delivery.reason === revert.code
  const isOver = revert.kind === 'drop' || (!isWaitedFor && tries + 1 >= most && isSure)
  const afterMs = isOver ? null : pauseAfter(tries)
  const reason = doubt === undefined && isUnnamed(revert) && !isRevert(error) ? 'unclear' : revert.code
  return { reason, message: revert.message, afterMs, counts: 1 } as const
}
