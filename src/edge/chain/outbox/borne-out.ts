import { encodeFunctionData } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { toCall, toWord } from '../call.ts'
import { type Payouts, readPayouts } from '../guard/payout.ts'
import { anchorCall } from '../next-id.ts'
import type { RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Computed } from './computed.ts'
import { type Counted, inquire } from './inquiry.ts'
import { isBlameless } from './patience.ts'

/** An answer, and the name of what it was refused with. */
export type Refused = { delivery: Computed; reason: string }

/** `forged`: the chain is not as the refusal says. `unclear`: how it is, is not told. */
export type Doubt = 'forged' | 'unclear'

/**
 * Which refusals that would be no fault of whoever asked are not borne out by the chain's state: what a consumer reverts with passes through the
 * coordinator as it is, so it can say anything in its name. What is missing is borne out, or is to blame on somebody anyway. A request, and one more
 * where it is about the pay, and for what may have been created meanwhile; none where nothing is in question.
 * @throws RpcUnavailable
 */
export async function readDoubts(
  step: Step,
  refused: readonly Refused[],
): Promise<ReadonlyMap<Computed, Doubt>> {
  const { chain, contracts, latest } = step
  const named = refused.filter(({ delivery, reason }) => isBlameless(reason, delivery))
  if (named.length === 0) return new Map()
  const asked = await inquire(step, named)
  const [[clock, ...counts], payouts] = await Promise.all([
    chain.rpc.send(
      [clockCall(step), ...asked.flatMap(({ calls }) => calls)],
      anchorCall(contracts, { at: latest.number, ids: asked.map(({ id }) => id) }),
    ),
    readPayouts(
      step,
      asked.filter(({ reason }) => ofPay.includes(reason)).map(({ delivery }) => pricedOf(delivery)),
    ),
  ])
  const told = toWord(clock)
  const time = told === null ? null : Number(told) - 1
  const doubts = new Map<Computed, Doubt>()
  for (const { delivery, reason, calls, read } of asked) {
    const counted = read(counts.splice(0, calls.length))
    const isSo = holds(reason, delivery, { ...counted, time, payouts })
    if (isSo !== true) doubts.set(delivery, isSo === null ? 'unclear' : 'forged')
  }
  return doubts
}

const ofPay: readonly string[] = ['PayoutTooLow', 'FeeAboveTerms']

/** One more than the time that the coordinator goes by, which has no name there. */
function clockCall({ contracts, latest }: Step): RpcCall {
  const data = encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'getSubscriptionInterval',
    args: [0, 1],
  })
  return toCall({ to: contracts.coordinator, data }, latest.number)
}

type State = Counted & { time: number | null; payouts: Payouts }

/** Whether the coordinator would say so; null: it cannot be told. */
function holds(
  reason: string,
  delivery: Computed,
  { count, responded, time, payouts }: State,
): boolean | null {
  const { begin, deadline, redundancy, price, payout: least } = delivery
  switch (reason) {
    case 'IntervalCompleted':
      return count === null ? null : count >= redundancy
    case 'NodeRespondedAlready':
      return responded
    case 'FeeAboveTerms':
      return price === 0n ? false : payouts.fee === null ? null : isAbove(payouts.fee, delivery)
    case 'PayoutTooLow': {
      const payout = payouts.byId.get(delivery.subscription)
      return price === 0n ? false : payout === undefined ? null : payout < (least ?? 0n)
    }
    default:
      // By the clock: another interval is open, or none any more.
      return time === null ? null : time < begin || (deadline !== null && time >= deadline)
  }
}

function isAbove(fee: bigint, { maxFee }: Computed): boolean {
  return maxFee > 0 && fee > BigInt(maxFee)
}

function pricedOf({ subscription: id, verifier, token: paymentToken, price: paymentAmount }: Computed) {
  return { id, verifier, paymentToken, paymentAmount }
}
