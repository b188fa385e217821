import type { Step } from '../step.ts'
import { answered, keyOf } from './batch.ts'
import type { Carried } from './carried.ts'
import type { Key } from './computed.ts'
import type { Receipt } from './receipt.ts'

/** Times that an answer may be mined and fail. */
const maxReverts = 3

/** What has become of an answer that was mined. */
export type Fate = Carried & {
  /** What the chain has taken it for, be it that it was given up, or meant for another; null: it has taken it for nothing. */
  answer: Key | null
  /** What the coordinator names it by. */
  key: string
  /** Its row stands for what it answers. */
  delivered: boolean
  /** It takes the place of another that its row was given up for. */
  isRestored: boolean
  /** It is not to be tried again. */
  isOver: boolean
  /** The subscription that it has created, or found there; null: it was not to create any. */
  created: number | null
}

/** By the receipt alone: whoever reads it, and whenever, finds the same. */
export function fateOf(
  { contracts }: Pick<Step, 'contracts'>,
  { carried, receipt }: { carried: Carried; receipt: Receipt },
): Fate {
  const asked = askedBy(carried)
  // One that may have been created as well is alone in its transaction.
  const subscription = carried.creates ? receipt.fulfilled[0] : (asked?.subscription ?? undefined)
  const named = {
    subscription: subscription ?? carried.subscription,
    interval: asked?.interval ?? carried.interval,
  }
  const key = keyOf(named)
  // The first coordinators say nothing of an answer by itself, and take only one in a transaction.
  const isTaken = contracts.features.batch ? receipt.judged.has(key) : receipt.succeeded
  const answer = asked !== null && subscription !== undefined && isTaken ? named : null
  const isHere = carried.interval > 0
  const isOurs = answer !== null && (carried.isTwice || receipt.created.includes(answer.subscription))
  const delivered = isHere && answer !== null
  return {
    ...carried,
    answer,
    key,
    delivered,
    isRestored: !isHere && isOurs,
    isOver: answer === null && carried.tries + 1 >= maxReverts,
    created: carried.place === null || answer === null ? null : answer.subscription,
  }
}

/** What it answers; `subscription` null: what it creates. null: it is not known any more. */
function askedBy({
  subscription,
  interval,
  givenUp,
}: Carried): { subscription: number | null; interval: number } | null {
  if (interval > 0) return { subscription, interval }
  return givenUp === null ? null : answered(givenUp)
}
