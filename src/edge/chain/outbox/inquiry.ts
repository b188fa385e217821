import { toWord } from '../call.ts'
import { countCalls } from '../count-calls.ts'
import { createdIdCall } from '../delegated/calls.ts'
import { isUncreated } from '../delegated/signed.ts'
import { anchorCall } from '../next-id.ts'
import type { RpcAnswer, RpcCall } from '../rpc.ts'
import type { Step } from '../step.ts'
import { creation } from './batch.ts'
import { clockCall, clockOf } from './clock.ts'
import type { Computed } from './computed.ts'
import { estimateCall, revertIn } from './estimate.ts'

/** An answer, and the name of what it was refused with. */
export type Refused = { delivery: Computed; reason: string }

/**
 * `count`: answers that the interval has; `responded`: whether the node's is one of them; `time`: unix seconds by which it was refused. null: it is not
 * told, or not asked for.
 */
export type Told = { count: number | null; responded: boolean | null; time: number | null }

/**
 * What the chain is asked about a refusal, at the newest block. `id`: that whoever is asked has to know. `read`: what its answers say; null: nothing of
 * this refusal.
 */
export type Inquiry = Refused & {
  id: number
  calls: readonly RpcCall[]
  read(answers: readonly (RpcAnswer | undefined)[]): Told | null
}
type Asking = Omit<Inquiry, keyof Refused>

/** An endpoint's clock may be so far ahead of the newest block: by a slot, or as long as the chain stands still. */
const aheadSeconds = 300

const untold: Told = { count: null, responded: null, time: null }
const ofCounts: readonly string[] = ['IntervalCompleted', 'NodeRespondedAlready']
/** Of the rest those that are not of the clock. */
export const ofPay: readonly string[] = ['PayoutTooLow', 'FeeAboveTerms']

/**
 * How refusals are to be asked about, in their order. What this node knows no id of may have been created meanwhile, and answered as well: its
 * nonce tells the id, in a request for all of them, and none where there are none.
 * @throws RpcUnavailable
 */
export async function inquire(step: Step, refused: readonly Refused[]): Promise<Inquiry[]> {
  const { chain, contracts, latest } = step
  const uncreated = refused.flatMap(({ delivery, reason }) => {
    const call = ofCounts.includes(reason) ? createdCall(step, delivery) : null
    return call === null ? [] : [{ delivery, call }]
  })
  const calls = uncreated.map(({ call }) => call)
  const anchor = anchorCall(contracts, { at: latest.number, ids: [] })
  const told = calls.length === 0 ? [] : await chain.rpc.send(calls, anchor)
  const byNonce = new Map(
    uncreated.map(({ delivery, call }, index) => {
      const named = { interval: delivery.interval, call, id: toWord(told[index]) }
      return [delivery, askByNonce(step, named)]
    }),
  )
  return refused.map(each => ({ ...each, ...(byNonce.get(each.delivery) ?? ask(step, each)) }))
}

/** The same once more, along with the answer that was refused: whoever is asked for both has one block, and one clock, for both. */
export function inquireAgain(step: Step, { delivery, reason, id, calls, read }: Inquiry): Inquiry {
  return {
    ...{ delivery, reason, id },
    calls: [estimateCall(step, delivery), ...calls],
    read([estimate, ...answers]) {
      const revert = estimate?.error ? revertIn(step, delivery, estimate.error) : null
      return revert?.code === reason ? read(answers) : null
    },
  }
}

function ask(step: Step, { delivery, reason }: Refused): Asking {
  const { subscription: id, interval } = delivery
  if (ofCounts.includes(reason)) return askById(step, { id, interval })
  if (ofPay.includes(reason)) return { id, calls: [], read: () => untold }
  return askClock(step, delivery)
}

/** Only where it matters which clock it is: some endpoints estimate nothing that is to be created, and say so in words that are held against them. */
function askClock(step: Step, { subscription: id, begin, deadline }: Computed): Asking {
  const { time } = step.latest
  const isOver = deadline !== null && time >= deadline
  const isOpen = time >= begin && (deadline === null || time + aheadSeconds < deadline)
  if (isOver || isOpen) return { id, calls: [], read: () => ({ ...untold, time }) }
  // No clock is behind the block's.
  const least = time < begin ? time : null
  return {
    id,
    calls: [clockCall(step)],
    read: ([clock]) => ({ ...untold, time: clockOf(clock) ?? least }),
  }
}

/** Null: it has an id. */
function createdCall({ contracts, latest }: Step, { subscription: id, call }: Computed): RpcCall | null {
  const created = isUncreated({ id }) ? creation(call) : null
  if (created === null) return null
  const { nonce, subscription } = created
  return createdIdCall({ owner: subscription.owner, nonce }, { contracts, at: latest.number })
}

function askById(
  { chain, contracts, latest }: Step,
  { id, interval }: { id: number; interval: number },
): Asking {
  return {
    id,
    calls: countCalls({ chain, contracts, at: latest.number }, { id, interval }),
    read(answers) {
      const [count = null, responded = null] = answers.map(toWord)
      return {
        ...untold,
        count: count === null ? null : Number(count),
        responded: responded === null ? null : responded !== 0n,
      }
    },
  }
}

type ByNonce = { interval: number; call: RpcCall; id: bigint | null }

/** Asks for the id once more: whoever tells another one by then is not asked about what is meant. `id` null: it was not told. */
function askByNonce(step: Step, { interval, call, id }: ByNonce): Asking {
  if (id === null) return { id: 0, calls: [], read: () => untold }
  const byId = id === 0n ? null : askById(step, { id: Number(id), interval })
  return {
    id: Number(id),
    calls: [call, ...(byId?.calls ?? [])],
    read([first, ...rest]) {
      if (toWord(first) !== id) return untold
      return byId?.read(rest) ?? { ...untold, count: 0, responded: false }
    },
  }
}
