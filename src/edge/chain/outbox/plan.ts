import { type Hex, size } from 'viem'
import { batchCall, isBatchable } from './batch.ts'
import type { Computed } from './computed.ts'

/** An answer that would be accepted, and the gas that it takes by itself. */
export type Passed = Computed & { gas: number }

/** What one transaction does. `deadline`: from when it would do nothing. */
export type Planned = { deliveries: Passed[]; data: Hex; gas: number; deadline: number | null }

/** Answers of one transaction: more would have all wait for the longest. */
const maxAnswers = 32
const maxCallBytes = 96 * 1024
/** Of an estimate: what comes before it in the block may make it dearer. */
const margin = 1.2
/** Of a batch, beside its answers. */
const batchGas = 50_000
/** What it takes to create a subscription, 135,000 at the first deployments: it may have been there when the answer was estimated, and be undone. */
const creationGas = 150_000

export type PlanOptions = {
  canBatch: boolean
  maxGasLimit: number
  /** Whether it goes by itself: others may be first with it, or a batch with it was refused. */
  isAlone?: (answer: Passed) => boolean
}

/** Puts answers into as few transactions as hold them. A batch costs less from two on: each by itself pays for a transaction. */
export function planTransactions(
  passed: readonly Passed[],
  { canBatch, maxGasLimit, isAlone = () => false }: PlanOptions,
): Planned[] {
  const isTogether = (answer: Passed) => isBatchable(answer.call) && !isAlone(answer)
  const groups: Passed[][] = []
  let gas = 0
  let bytes = 0
  // What stands alone first, so that it does not part the others.
  for (const delivery of passed.toSorted(
    (a, b) => Number(isTogether(a)) - Number(isTogether(b)) || byId(a, b),
  )) {
    const own = Math.ceil(delivery.gas * margin)
    const callBytes = size(delivery.call)
    const group = groups.at(-1)
    const fits =
      canBatch &&
      group !== undefined &&
      [delivery, ...group.slice(0, 1)].every(isTogether) &&
      group.length < maxAnswers &&
      batchGas + gas + own <= maxGasLimit &&
      bytes + callBytes <= maxCallBytes
    if (fits) {
      group.push(delivery)
      gas += own
      bytes += callBytes
    } else {
      groups.push([delivery])
      gas = own
      bytes = callBytes
    }
  }
  return groups.map(group => toPlanned(group, maxGasLimit))
}

function byId(a: Passed, b: Passed): number {
  return a.subscription - b.subscription || a.interval - b.interval
}

function toPlanned(deliveries: Passed[], maxGasLimit: number): Planned {
  const deadlines = deliveries.map(({ deadline }) => deadline)
  // As long as one of them can be accepted, it does something.
  const deadline = deadlines.reduce((latest, each) =>
    latest === null || each === null ? null : Math.max(latest, each),
  )
  const gas = deliveries.reduce((sum, delivery) => sum + Math.ceil(delivery.gas * margin), 0)
  const [only] = deliveries
  if (deliveries.length === 1 && only) {
    const most = isBatchable(only.call) ? gas : gas + creationGas
    return { deliveries, data: only.call, gas: Math.min(most, maxGasLimit), deadline }
  }
  const calls = deliveries.map(delivery => ({
    gasLimit: Math.ceil(delivery.gas * margin),
    data: delivery.call,
  }))
  return { deliveries, data: batchCall(calls), gas: Math.min(gas + batchGas, maxGasLimit), deadline }
}
