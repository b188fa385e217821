import type { Address } from 'viem'
import { RpcUnavailable } from '../rpc.ts'
import { approveStakes } from '../stakes/approve.ts'
import { readBackings } from '../stakes/backing.ts'
import { approvalOf, type StakeObstacle } from '../stakes/purse.ts'
import { readStakes, byToken as sumByToken } from '../stakes/staked.ts'
import type { Step } from '../step.ts'
import { sentenceOf } from '../telling.ts'
import type { Computed } from './computed.ts'
import type { Postponed } from './drop.ts'

/** Reverts that may be about either wallet: the consumer's, which pays, or the node's, which backs the proof. */
const ofEither: readonly string[] = ['InsufficientFunds', 'InsufficientAllowance']

/** An answer that is tried again, and what it is backed with. */
export type Lacking = { postponed: Postponed; delivery: Computed }

/**
 * Tells which of these fail for want of the node's own money, as it is by now, and has the missing approvals sent. What was there when they
 * were begun may have been taken out, or slashed.
 * @returns all of them, with what is lacking in place of a revert that does not tell whose wallet it is about.
 */
export async function explainLacking(step: Step, lacking: readonly Lacking[]): Promise<Postponed[]> {
  const staked = lacking.filter(
    ({ postponed, delivery }) => delivery.stake !== null && ofEither.includes(postponed.reason),
  )
  const tokens = [...new Set(staked.flatMap(({ delivery }) => delivery.stake?.token ?? []))]
  if (tokens.length === 0) return lacking.map(({ postponed }) => postponed)
  const { promised, locked } = await readStakes(step.db, step.chain.config.id)
  const backings = await readBackings(step, { tokens, locked }).catch((error: unknown) => {
    if (error instanceof RpcUnavailable) return null
    throw error
  })
  // What the chain has said of them is true all the same.
  if (backings === null) return lacking.map(({ postponed }) => postponed)
  const { isOurs, byToken } = backings
  const amounts = sumByToken(promised)
  const unapproved = new Set<Address>()
  const explained = lacking.map(one => {
    const { stake } = one.delivery
    const backing = stake === null ? null : (byToken.get(stake.token) ?? null)
    if (stake === null || backing === null || !staked.includes(one)) return one.postponed
    if (backing.free < stake.amount) return told(one, 'insufficient_stake')
    if (backing.allowance >= stake.amount) return one.postponed
    if (!isOurs) return told(one, 'stake_not_ours')
    unapproved.add(stake.token)
    return told(one, 'stake_unapproved')
  })
  await approveStakes(
    step,
    [...unapproved].map(token => approvalOf(token, amounts.get(token) ?? 0n)),
  )
  return explained
}

function told({ postponed }: Lacking, reason: StakeObstacle): Postponed {
  return { ...postponed, reason, message: sentenceOf(reason) }
}
