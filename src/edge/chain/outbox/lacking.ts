import type { Address } from 'viem'
import { RpcUnavailable } from '../rpc.ts'
import { approveStakes } from '../stakes/approve.ts'
import { readBackings } from '../stakes/backing.ts'
import { approvalOf, type StakeObstacle } from '../stakes/purse.ts'
import { inWallet, readStakes, type Stakes, byToken as sumByToken } from '../stakes/staked.ts'
import type { Step } from '../step.ts'
import { sentenceOf } from '../telling.ts'
import { keyOf, namedWallet } from './batch.ts'
import type { Computed } from './computed.ts'
import type { Postponed } from './drop.ts'

/** Reverts that may be about either wallet: the consumer's, which pays, or the node's, which backs the proof. */
const ofEither: readonly string[] = ['InsufficientFunds', 'InsufficientAllowance']

/** An answer that is tried again, and what it is backed with. `isOver`: unless what is lacking is the node's, it was tried often enough. */
export type Lacking = { postponed: Postponed; delivery: Computed; isOver: boolean }

/** Whether an answer that is refused for this may lack what backs it. */
export function mayLack({ stake }: Computed, reason: string): boolean {
  return stake !== null && ofEither.includes(reason)
}

/**
 * Tells which of these fail for want of the node's own money, as it is by now, and has the missing approvals sent. What was there when they
 * were begun may have been taken out, or slashed.
 * @returns all of them, with what is lacking in place of a revert that does not tell whose wallet it is about.
 */
export async function explainLacking(step: Step, lacking: readonly Lacking[]): Promise<readonly Lacking[]> {
  const staked = lacking.filter(({ postponed, delivery }) => mayLack(delivery, postponed.reason))
  if (staked.length === 0) return lacking
  const stakes = await readStakes(step.db, step.chain.config.id)
  // By the wallet that each names, which may have been the node's before.
  const wallets = Map.groupBy(staked, ({ delivery }) => namedWallet(delivery.call, keyOf(delivery)))
  const explained = new Map<Lacking, Lacking>()
  for (const [wallet, those] of wallets)
    if (wallet !== null)
      for (const [one, told] of await explainIn(step, { wallet, lacking: those, stakes }))
        explained.set(one, told)
  return lacking.map(one => explained.get(one) ?? one)
}

type InWallet = { wallet: Address; lacking: readonly Lacking[]; stakes: Stakes }

async function explainIn(
  step: Step,
  { wallet, lacking, stakes: { promised, locked } }: InWallet,
): Promise<ReadonlyMap<Lacking, Lacking>> {
  const tokens = [...new Set(lacking.flatMap(({ delivery }) => delivery.stake?.token ?? []))]
  const backings = await readBackings(step, { wallet, tokens, locked }).catch((error: unknown) => {
    if (error instanceof RpcUnavailable) return null
    throw error
  })
  // What the chain has said of them is true all the same.
  if (backings === null) return new Map()
  const { isOurs, byToken } = backings
  const amounts = sumByToken(inWallet(promised, wallet))
  const unapproved = new Set<Address>()
  const explained = lacking.map((one): [Lacking, Lacking] => {
    const { stake } = one.delivery
    const backing = stake === null ? null : (byToken.get(stake.token) ?? null)
    if (stake === null || backing === null) return [one, one]
    if (backing.free < stake.amount) return [one, told(one, 'insufficient_stake')]
    if (backing.allowance >= stake.amount) return [one, one]
    if (!isOurs) return [one, told(one, 'stake_not_ours')]
    unapproved.add(stake.token)
    return [one, told(one, 'stake_unapproved')]
  })
  await approveStakes(
    step,
    [...unapproved].map(token => approvalOf({ wallet, token, amount: amounts.get(token) ?? 0n })),
  )
  return new Map(explained)
}

/** It waits, however often it was tried: who asked has nothing to do with it. */
function told({ postponed, delivery }: Lacking, reason: StakeObstacle): Lacking {
  return { delivery, isOver: false, postponed: { ...postponed, reason, message: sentenceOf(reason) } }
}
