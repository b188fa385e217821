import { readPayouts } from '../guard/payout.ts'
import type { Step } from '../step.ts'
import { creation } from './batch.ts'
import type { Computed } from './computed.ts'

/** Why an answer is not sent: as the coordinator would say it of one with bounds; or it is not told. */
export type Underpaid = 'PayoutTooLow' | 'fee_unknown'

/**
 * Which answers would bring less than they were computed for, of those that create what they answer: the coordinator takes no bounds with these, so they are
 * reckoned anew, at the newest block, whenever they might be sent. One request, and none where none of these pays.
 * @throws RpcUnavailable
 */
export async function whyUnderpaid<Answer extends Computed>(
  step: Step,
  answers: readonly Answer[],
): Promise<ReadonlyMap<Answer, Underpaid>> {
  const creating = answers.filter(({ isPaid, call }) => isPaid && creation(call) !== null)
  if (creating.length === 0 || !step.contracts.features.bounded) return new Map()
  const { byId } = await readPayouts(
    step,
    creating.map(({ subscription: id, verifier, token: paymentToken, price: paymentAmount }) => {
      return { id, verifier, paymentToken, paymentAmount }
    }),
  )
  return new Map(
    creating.flatMap((answer): [Answer, Underpaid][] => {
      const payout = byId.get(answer.subscription)
      if (payout === undefined) return [[answer, 'fee_unknown']]
      return payout < (answer.payout ?? 0n) ? [[answer, 'PayoutTooLow']] : []
    }),
  )
}
