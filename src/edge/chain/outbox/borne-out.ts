import { type Payouts, readPayouts } from '../guard/payout.ts'
import { anchorCall } from '../next-id.ts'
import { type Rpc, type RpcAnswer, type RpcCall, RpcUnavailable } from '../rpc.ts'
import { sendApart } from '../send-apart.ts'
import type { Step } from '../step.ts'
import { isClockCall } from './clock.ts'
import type { Computed } from './computed.ts'
import { type Inquiry, inquire, inquireAgain, ofPay, type Refused, type Told } from './inquiry.ts'
import { isBlameless } from './patience.ts'

/** `forged`: the chain is not as the refusal says. `unclear`: how it is, is not told. */
export type Doubt = 'forged' | 'unclear'

/**
 * Which refusals that would be no fault of whoever asked are not borne out by the chain's state: what a consumer reverts with passes through the
 * coordinator as it is, so it can say anything in its name. What is missing is borne out, or is to blame on somebody anyway. What is not borne out is
 * looked at once more, and is forged only if it is so again: whoever has refused it may have another block than whoever is asked about it. A request for
 * each look, and one more where it is about the pay, or for what may have been created meanwhile; none where nothing is in question.
 * @throws RpcUnavailable
 */
export async function readDoubts(
  step: Step,
  refused: readonly Refused[],
): Promise<ReadonlyMap<Computed, Doubt>> {
  const named = refused.filter(({ delivery, reason }) => isBlameless(reason, delivery))
  if (named.length === 0) return new Map()
  const asked = await inquire(step, named)
  const first = await readBorneOut(step, asked)
  const denied = asked.filter(({ delivery }) => first.get(delivery) === false)
  const again = denied.map(inquiry => inquireAgain(step, inquiry))
  const second = again.length === 0 ? [] : await readBorneOut(step, again)
  const doubts = new Map<Computed, Doubt>()
  for (const [delivery, isSo] of [...first, ...second]) {
    if (isSo === true) doubts.delete(delivery)
    else doubts.set(delivery, isSo === null ? 'unclear' : 'forged')
  }
  return doubts
}

/** Whether the chain is as the refusals say; null: it is not told. */
async function readBorneOut(
  step: Step,
  asked: readonly Inquiry[],
): Promise<ReadonlyMap<Computed, boolean | null>> {
  const { chain, contracts, latest } = step
  const [answers, payouts] = await Promise.all([
    sendAll(
      chain.rpc,
      asked.flatMap(({ calls }) => calls),
      anchorCall(contracts, { at: latest.number, ids: asked.map(({ id }) => id) }),
    ),
    readPayouts(
      step,
      asked.filter(({ reason }) => ofPay.includes(reason)).map(({ delivery }) => pricedOf(delivery)),
    ),
  ])
  const left = [...answers]
  return new Map(
    asked.map(({ delivery, reason, calls, read }) => {
      const told = read(left.splice(0, calls.length))
      return [delivery, told && holds(reason, delivery, { ...told, payouts })]
    }),
  )
}

/** Without the clock where endpoints fail whatever comes with such a question. @throws RpcUnavailable */
async function sendAll(
  rpc: Rpc,
  calls: readonly RpcCall[],
  anchor: RpcCall,
): Promise<readonly (RpcAnswer | undefined)[]> {
  try {
    return await sendApart(rpc, calls, { anchor })
  } catch (error) {
    const others = calls.filter(call => !isClockCall(call))
    if (!(error instanceof RpcUnavailable) || others.length === calls.length) throw error
    const told = await sendApart(rpc, others, { anchor })
    return calls.map(call => (isClockCall(call) ? undefined : told.shift()))
  }
}

type State = Told & { payouts: Payouts }

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
