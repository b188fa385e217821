import { type Address, zeroAddress } from 'viem'
import type { Subscription } from '../chain.ts'
import { mostAtStake, type Verifiers } from '../guard/verifiers.ts'
import type { Step } from '../step.ts'
import { type Backings, readBackings } from './backing.ts'
import { createCrowd } from './crowd.ts'
import { type Charge, pairOf, readCharges } from './judges.ts'
import { inWallet, readStakes, riskOf, type Stake, type Stakes, byToken as sumByToken } from './staked.ts'

/** Why an answer's proof cannot be backed, or would not be judged. */
export type StakeObstacle =
  | 'unsupported_verifier'
  | 'proof_limit'
  | 'stake_limit'
  | 'insufficient_stake'
  | 'stake_unapproved'
  | 'approval_unprofitable'
  | 'stake_not_ours'
  | 'unreadable'

/** Base units of a token that the signer is to be allowed to have locked in a wallet. */
export type Approval = { wallet: Address; token: Address; amount: bigint }

/** What there is to back answers with, less what they are promised. */
export type Purse = {
  /** Why an answer has no use whatever there is to back it with; null: it has. */
  objection(subscription: Subscription): StakeObstacle | null
  /** Promises what an answer has to be backed with. @returns null when that is nothing, or is there. */
  promise(subscription: Subscription): StakeObstacle | null
  /** What has to be approved for those that could not be. */
  approvals(): Approval[]
  /** Of `Stakes`, by which this was reckoned; null: nothing is staked. */
  stakings: number | null
}

/** Whether the node backs an answer with money: the price, until the verifier has judged. */
export function isStaked({
  verifier,
  paymentAmount,
}: Pick<Subscription, 'verifier' | 'paymentAmount'>): boolean {
  return verifier !== zeroAddress && paymentAmount > 0n
}

/**
 * What these could be backed with. What is promised, and not mined, comes off: several answers of a batch are locked together. Nothing is
 * asked where nothing is staked.
 * @throws RpcUnavailable
 */
export async function readPurse(step: Step, subscriptions: readonly Subscription[]): Promise<Purse> {
  const staked = subscriptions.filter(isStaked)
  if (staked.length === 0) return noPurse
  const tokens = [...new Set(staked.map(({ paymentToken }) => paymentToken))]
  const { id, guard, paymentAddress: wallet } = step.chain.config
  // Before the chain is asked: what is mined meanwhile is promised still, and then locked as well.
  const stakes = await readStakes(step.db, id)
  const [backings, charges] = await Promise.all([
    readBackings(step, { wallet, tokens, locked: stakes.locked }),
    readCharges(step, staked),
  ])
  return createPurse({ wallet, backings, charges, stakes, verifiers: guard.verifiers })
}

const noPurse: Purse = { objection: () => null, promise: () => null, approvals: () => [], stakings: null }

/**
 * There is no endless allowance, and with the first deployments one near 2^256 would have no stake come back: what is unlocked is added to it.
 * Twice this, as when stakes are locked while it is approved anew, is still a word.
 */
const mostApproved = 2n ** 254n

/**
 * What is promised, and no more: whoever has an answer reach another subscription than the one that it was computed for may take what the signer
 * may lock. What is unlocked is added to the allowance again, so it is raised only when more is staked at once than ever before.
 */
export function approvalOf({ amount: promised, ...what }: Approval): Approval {
  return { ...what, amount: promised < mostApproved ? promised : mostApproved }
}

function createPurse({
  wallet,
  backings: { isOurs, byToken },
  charges,
  stakes: { promised, locked, stakings },
  verifiers,
}: {
  wallet: Address
  backings: Backings
  charges: ReadonlyMap<string, Charge>
  stakes: Stakes
  verifiers: Verifiers
}): Purse {
  // What names another wallet, since it was encoded for that, takes nothing of this one.
  const taken = sumByToken(inWallet(promised, wallet))
  const risk = createRisk(verifiers, [...promised, ...locked])
  const crowd = createCrowd([...promised, ...locked])
  const lacking = new Map<Address, bigint>()
  const wanted = new Map<Address, Approval>()
  const objection = (subscription: Subscription): StakeObstacle | null => {
    if (!isStaked(subscription)) return null
    const charge = charges.get(pairOf(subscription)) ?? null
    if (charge === null) return 'unreadable'
    return charge === 'none' || charge > subscription.paymentAmount ? 'unsupported_verifier' : null
  }
  return {
    objection,
    promise(subscription) {
      if (!isStaked(subscription)) return null
      const { paymentToken: token, paymentAmount: amount } = subscription
      const backing = byToken.get(token) ?? null
      const why = objection(subscription)
      if (why !== null) return why
      if (backing === null) return 'unreadable'
      if (crowd.isFull(subscription)) return 'proof_limit'
      if (risk.isTooMuch(subscription)) return 'stake_limit'
      const already = amountOf(taken, token)
      if (backing.free < already + amount) return 'insufficient_stake'
      if (backing.allowance >= already + amount) {
        taken.set(token, already + amount)
        risk.add(subscription)
        crowd.add(subscription)
        return null
      }
      if (!isOurs) return 'stake_not_ours'
      // With those before it that wait for the same.
      const asked = amountOf(lacking, token) + amount
      if (backing.free < already + asked) return 'insufficient_stake'
      lacking.set(token, asked)
      wanted.set(token, approvalOf({ wallet, token, amount: already + asked }))
      return 'stake_unapproved'
    },
    approvals: () => [...wanted.values()],
    stakings,
  }
}

/** What verifiers may take, with what is added to it, against what the node risks on them. */
function createRisk(verifiers: Verifiers, stakes: readonly Stake[]) {
  const before = riskOf(stakes)
  const added = new Map<string, bigint>()
  const addedTo = (subscription: Subscription) => added.get(pairOf(subscription)) ?? 0n
  return {
    isTooMuch(subscription: Subscription): boolean {
      const most = mostAtStake(verifiers, subscription)
      return most !== null && before(subscription) + addedTo(subscription) + subscription.paymentAmount > most
    },
    add(subscription: Subscription): void {
      added.set(pairOf(subscription), addedTo(subscription) + subscription.paymentAmount)
    },
  }
}

function amountOf(amounts: ReadonlyMap<Address, bigint>, token: Address): bigint {
  return amounts.get(token) ?? 0n
}
