import { encodeFunctionData } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { toCall, toWord } from '../call.ts'
import { countCalls } from '../count-calls.ts'
import { createdIdCall } from '../delegated/calls.ts'
import { isUncreated } from '../delegated/signed.ts'
import { type Payouts, readPayouts } from '../guard/payout.ts'
import { anchorCall } from '../next-id.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import { creation } from './batch.ts'
import type { Computed } from './computed.ts'
import { isBlameless } from './patience.ts'

/** An answer, and the name of what it was refused with. */
export type Refused = { delivery: Computed; reason: string }

/** `forged`: the chain is not as the refusal says. `unclear`: how it is, is not told. */
export type Doubt = 'forged' | 'unclear'

/**
 * Which refusals that would be no fault of whoever asked are not borne out by the chain's state: what a consumer reverts with passes through the
 * coordinator as it is, so it can say anything in its name. What is missing is borne out, or is to blame on somebody anyway. A request, and one more
 * where it is about the pay; none where nothing is in question.
 * @throws RpcUnavailable
 */
export async function readDoubts(
  step: Step,
  refused: readonly Refused[],
): Promise<ReadonlyMap<Computed, Doubt>> {
  const { chain, contracts, latest } = step
  const asked = refused
    .filter(({ delivery, reason }) => isBlameless(reason, delivery))
    .map(each => ({ ...each, calls: countsOf(step, each.delivery) }))
  if (asked.length === 0) return new Map()
  const ids = asked.map(({ delivery }) => delivery.subscription)
  const [[clock, ...counts], payouts] = await Promise.all([
    chain.rpc.send(
      [clockCall(step), ...asked.flatMap(({ calls }) => calls)],
      anchorCall(contracts, { at: latest.number, ids }),
    ),
    readPayouts(
      step,
      asked.filter(({ reason }) => ofPay.includes(reason)).map(({ delivery }) => pricedOf(delivery)),
    ),
  ])
  const told = toWord(clock)
  const time = told === null ? null : Number(told) - 1
  const doubts = new Map<Computed, Doubt>()
  for (const { delivery, reason, calls } of asked) {
    const found = countOf(delivery, counts.splice(0, calls.length))
    const isSo = holds(reason, delivery, { ...found, time, payouts })
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

/** What is not created has an id by its nonce alone. */
function countsOf(
  { chain, contracts, latest }: Step,
  { subscription: id, interval, call }: Computed,
): RpcCall[] {
  const at = latest.number
  const created = isUncreated({ id }) ? creation(call) : null
  if (created === null) return countCalls({ chain, contracts, at }, { id, interval })
  const { nonce, subscription } = created
  return [createdIdCall({ owner: subscription.owner, nonce }, { contracts, at })]
}

/** `count`: answers that the interval has; `responded`: whether the node's is one of them; null: it is not told. */
type Counted = { count: number | null; responded: boolean | null }

function countOf({ subscription: id }: Computed, answers: readonly RpcAnswer[]): Counted {
  const [first, second] = answers.map(toWord)
  if (isUncreated({ id })) {
    if (first === null || first === undefined) return { count: null, responded: null }
    // Whoever has created it meanwhile may have answered it as well; the next look knows it under its id.
    return first === 0n
      ? { count: 0, responded: false }
      : { count: Number.POSITIVE_INFINITY, responded: true }
  }
  return {
    count: first === null || first === undefined ? null : Number(first),
    responded: second === null || second === undefined ? null : second !== 0n,
  }
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
