import { toWord } from '../call.ts'
import { countCalls } from '../count-calls.ts'
import { createdIdCall } from '../delegated/calls.ts'
import { isUncreated } from '../delegated/signed.ts'
import { anchorCall } from '../next-id.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import { creation } from './batch.ts'
import type { Computed } from './computed.ts'

/** `count`: answers that the interval has; `responded`: whether the node's is one of them; null: it is not told. */
export type Counted = { count: number | null; responded: boolean | null }

/** What the coordinator is asked about an answer's interval, at the newest block. `id`: that whoever is asked has to know. `read`: what its answers say. */
export type Inquiry = { id: number; calls: readonly RpcCall[]; read(answers: readonly RpcAnswer[]): Counted }

const untold: Counted = { count: null, responded: null }

/**
 * How answers' intervals are to be asked about, in their order. What this node knows no id of may have been created meanwhile, and answered as well: its
 * nonce tells the id, in a request for all of them, and none where there are none.
 * @throws RpcUnavailable
 */
export async function inquire<T extends { delivery: Computed }>(
  step: Step,
  asked: readonly T[],
): Promise<(T & Inquiry)[]> {
  const uncreated = asked.flatMap(({ delivery }) => {
    const call = createdCall(step, delivery)
    return call === null ? [] : [{ delivery, call }]
  })
  const calls = uncreated.map(({ call }) => call)
  const anchor = anchorCall(step.contracts, { at: step.latest.number, ids: [] })
  const told = calls.length === 0 ? [] : await step.chain.rpc.send(calls, anchor)
  const byNonce = new Map(
    uncreated.map(({ delivery, call }, index) => {
      const named = { interval: delivery.interval, call, id: toWord(told[index]) }
      return [delivery, inquiryByNonce(step, named)]
    }),
  )
  return asked.map(each => {
    const { subscription: id, interval } = each.delivery
    return { ...each, ...(byNonce.get(each.delivery) ?? inquiryById(step, { id, interval })) }
  })
}

/** Null: it has an id. */
function createdCall({ contracts, latest }: Step, { subscription: id, call }: Computed): RpcCall | null {
  const created = isUncreated({ id }) ? creation(call) : null
  if (created === null) return null
  const { nonce, subscription } = created
  return createdIdCall({ owner: subscription.owner, nonce }, { contracts, at: latest.number })
}

function inquiryById(
  { chain, contracts, latest }: Step,
  { id, interval }: { id: number; interval: number },
): Inquiry {
  return {
    id,
    calls: countCalls({ chain, contracts, at: latest.number }, { id, interval }),
    read(answers) {
      const [count = null, responded = null] = answers.map(toWord)
      return {
        count: count === null ? null : Number(count),
        responded: responded === null ? null : responded !== 0n,
      }
    },
  }
}

type ByNonce = { interval: number; call: RpcCall; id: bigint | null }

/** Asks for the id once more: whoever tells another one by then is not asked about what is meant. `id` null: it was not told. */
function inquiryByNonce(step: Step, { interval, call, id }: ByNonce): Inquiry {
  if (id === null) return { id: 0, calls: [], read: () => untold }
  const byId = id === 0n ? null : inquiryById(step, { id: Number(id), interval })
  return {
    id: Number(id),
    calls: [call, ...(byId?.calls ?? [])],
    read([first, ...rest]) {
      if (toWord(first) !== id) return untold
      return byId?.read(rest) ?? { count: 0, responded: false }
    },
  }
}
