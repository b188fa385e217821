import { sql } from 'drizzle-orm'
import type { Subscription } from '../chain.ts'
import type { Step } from '../step.ts'
import { readDataFees } from './data-fee.ts'
import { readFinalizing } from './finalizing.ts'

/** Of an answer's call data: some 840 bytes are what stands around a short one with bounds. */
const guessedBytes = 1_024

/** Wei for a unit of gas, as far as it is known before anything is sent. */
export function expectedFee({ chain, latest }: Pick<Step, 'chain' | 'latest'>): bigint {
  return (latest.baseFee ?? 0n) + chain.config.gas.minPriorityFeePerGas
}

/**
 * What an answer to each of these would cost, in wei, before it is computed: by the gas of the answer that its consumer last had, or a guess, and what
 * finalizing its proof takes; with what the chain takes for data. null: that is not told.
 */
export async function readCosts(
  step: Step,
  subscriptions: readonly Subscription[],
): Promise<(subscription: Subscription) => bigint | null> {
  const { gasGuess } = step.chain.config.guard.worth
  const [gases, finalizing] = await Promise.all([
    readLastGas(step, subscriptions),
    readFinalizing(step, subscriptions),
  ])
  const dataFeeOf = await readDataFees(step, [
    guessedBytes,
    ...subscriptions.map(each => finalizing(each).bytes),
  ])
  const fee = expectedFee(step)
  return subscription => {
    const { gas, bytes } = finalizing(subscription)
    const answerGas = gases.get(subscription.owner) ?? gasGuess
    const dataFee = dataFeeOf(guessedBytes, bytes)
    return dataFee === null ? null : BigInt(answerGas + gas) * fee + dataFee
  }
}

async function readLastGas(
  { db, chain }: Step,
  subscriptions: readonly Subscription[],
): Promise<ReadonlyMap<string, number>> {
  const owners = JSON.stringify([...new Set(subscriptions.map(({ owner }) => owner))])
  const rows = await db.orm.all<{ owner: string; gas: number }>(sql`
    select owner, last_gas as gas from json_each(${owners}) as asked
    cross join consumers on consumers.chain = ${chain.config.id} and consumers.owner = asked.value
    where last_gas is not null`)
  return new Map(rows.map(({ owner, gas }) => [owner, gas]))
}
