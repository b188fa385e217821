import { type Address, hexToBigInt, isHex, numberToHex } from 'viem'
import { toParam } from '../call.ts'
import { whyUnaffordable } from '../guard/affordable.ts'
import { unserved } from '../guard/serve.ts'
import { isContested } from '../guard/stagger.ts'
import { withoutStaggered } from '../guard/staggered.ts'
import { barredSentence, selectBarred } from '../guard/usage.ts'
import { anchorCall } from '../next-id.ts'
import { refusalOf } from '../refusal.ts'
import { isAboutMoney, isAllowed, isRevert, type Revert, revertOf } from '../reverts.ts'
import { isUnasked, type RpcAnswer, type RpcCall, type RpcError } from '../rpc.ts'
import { sendApart } from '../send-apart.ts'
import { overstaked } from '../stakes/limited.ts'
import type { Step } from '../step.ts'
import { sentenceOf } from '../telling.ts'
import { allocate } from './allocate.ts'
import { broadcast, type Sending } from './broadcast.ts'
import { type Computed, readComputed } from './computed.ts'
import { type Dropped, dropDeliveries, type Postponed, postponeDeliveries } from './drop.ts'
import { offer } from './fees.ts'
import { foilCalls, withoutFoiled } from './foil.ts'
import { explainLacking, type Lacking } from './lacking.ts'
import { type Market, marketCalls, readMarket } from './market.ts'
import { type Open, readOpen } from './open.ts'
import { type Passed, type Planned, planTransactions } from './plan.ts'
import { whyUnderpaid } from './underpaid.ts'
import { isUnpaid } from './unpaid.ts'

/** As the signer was found. `blocked`: why nothing more is sent at the moment. */
export type SignerReport = { balance: bigint | null; blocked: string | null }

/** `isLeft`: there are more answers than one look takes. `isHeld`: what there is lets other nodes go first, at this block. */
export type Delivering = { signer: SignerReport | null; isLeft: boolean; isHeld: boolean }

/** A consumer's own revert may be for the moment: so often it is tried again. */
const maxUnknown = 3
/** What is in the way may go away; for a wallet that may be filled, the end of the interval is waited for, where it has one. */
const maxKnown = 10
const insufficientFunds = 'insufficient_funds: the signer cannot pay for the gas'
/** As often as what may be sent: an estimate's. */
const triedGas = 2
const firstPauseMs = 2_000
const maxPauseMs = 10 * 60_000
/** Until endpoints may say more of an answer. It is no try: none of them has said no. */
const unclearMs = 30_000
/** Some blocks, until gas may cost less. */
const unservedMs = 30_000

/**
 * Sends answers: each is simulated first, and what would fail takes no nonce. What cannot be sent now, since the signer has no funds, the
 * market is too dear or an earlier transaction is stuck, stays as it is.
 */
export async function deliver(step: Step): Promise<Delivering> {
  const { chain, contracts, db, latest } = step
  const { config, rpc } = chain
  const { computed, isLeft } = await readComputed(step)
  const served = await withoutBarred(step, await withoutLate(step, computed))
  const inTime = await withoutStaggered(step, served)
  const isHeld = config.guard.stagger.peers.length > 0 && inTime.length === 0
  if (inTime.length === 0) return { signer: null, isLeft, isHeld }
  const [open, answers] = await Promise.all([
    readOpen(db, { chain: config.id, signer: chain.signer.address }),
    sendApart(
      rpc,
      [
        ...marketCalls(step),
        ...inTime.map(delivery => estimateCall(step, delivery)),
        ...foilCalls(step, inTime),
      ],
      // Where there is no coordinator, a delivery takes next to no gas.
      {
        anchor: anchorCall(contracts, {
          at: latest.number,
          ids: inTime.map(({ subscription }) => subscription),
        }),
      },
    ),
  ])
  const { market, rest } = readMarket(step, answers)
  const left = await withoutFoiled(step, { deliveries: inTime, answers: rest.slice(inTime.length) })
  const sound = await sift(step, {
    deliveries: inTime.filter(delivery => left.has(delivery)),
    answers: rest.filter((_, index) => index < inTime.length && left.has(inTime[index] as Computed)),
  })
  const worthy = await withoutUnderpaid(step, sound)
  const passed = await withoutUnaffordable(step, { passed: worthy, market })
  const unpaid = answers.some(isUnpaid) ? insufficientFunds : null
  const blocked = (await send(step, { passed, market, open })) ?? unpaid
  return {
    signer: { balance: market.balance, blocked },
    isLeft: blocked === null && isLeft,
    isHeld,
  }
}

/** What would be mined at the earliest when it is too late is given up. */
async function withoutLate(step: Step, computed: readonly Computed[]): Promise<Computed[]> {
  const { db, chain, latest, gapSeconds, log } = step
  const isLate = ({ deadline }: Computed) => deadline !== null && latest.time + gapSeconds >= deadline
  const dropped = computed.filter(isLate).map(({ subscription, interval, reason: why }) => ({
    subscription,
    interval,
    reason: 'too_late',
    message: `The interval was over before the answer could be sent${why === null ? '.' : `: ${why}.`}`,
  }))
  await dropDeliveries(db, { chain: chain.config.id, dropped, block: latest })
  for (const { subscription, interval, message } of dropped)
    log.warn('Did not send tx', { chain: chain.config.id, subscription, interval, error: message })
  return computed.filter(delivery => !isLate(delivery))
}

/** Whose consumer has cost too much meanwhile waits, until its deadline at most. */
async function withoutBarred(step: Step, computed: readonly Computed[]): Promise<readonly Computed[]> {
  const { db, chain, log } = step
  const barred = await selectBarred(db, {
    config: chain.config,
    owners: computed.map(({ owner }) => owner),
  })
  if (barred.size === 0) return computed
  const postponed = computed.flatMap(({ subscription, interval, owner }): Postponed[] => {
    const excess = barred.get(owner)
    if (!excess) return []
    const afterMs = Math.min(maxPauseMs, excess.until - excess.now)
    const message = barredSentence(excess)
    return [{ subscription, interval, reason: 'consumer_limit', message, afterMs, counts: 0 }]
  })
  await postponeDeliveries(db, { chain: chain.config.id, postponed })
  for (const { subscription, interval, message } of postponed)
    log.warn('Did not send tx', {
      chain: chain.config.id,
      subscription,
      interval,
      error: message,
      again: true,
    })
  return computed.filter(({ owner }) => !barred.has(owner))
}

/**
 * A simulation that tells the gas as well. By the block's number: an endpoint that has fallen behind does not have it, where at its own
 * newest it would know neither the question nor the interval, and have the answer given up. Consumers may burn what gas there is,
 * so there is a bound; it lies above what may be sent, for a consumer that runs out of it reverts like any other.
 */
function estimateCall({ chain, contracts, latest }: Step, { call }: Computed): RpcCall {
  const gas = numberToHex(triedGas * chain.config.gas.maxGasLimit)
  const request = { from: chain.signer.address, to: contracts.coordinator, data: call, gas }
  return { method: 'eth_estimateGas', params: [request, toParam(latest.number)] }
}

/** Drops and postpones what the chain would not take. @returns the others. */
async function sift(
  step: Step,
  { deliveries, answers }: { deliveries: readonly Computed[]; answers: readonly RpcAnswer[] },
): Promise<Passed[]> {
  const { db, chain, latest, log } = step
  const { config } = chain
  const { maxGasLimit } = config.gas
  const passed: Passed[] = []
  const dropped: Dropped[] = []
  const postponed: Lacking[] = []
  for (const [index, delivery] of deliveries.entries()) {
    const { subscription, interval, owner } = delivery
    const answer = answers[index]
    // Another look is to come, without those that were silent by then.
    if (isUnpaid(answer) || isUnasked(answer)) continue
    const error = answer?.error
    const isTooDear = error !== undefined && !error.isUnclear && refusalOf(error) === 'out_of_gas'
    if (error !== undefined && !isTooDear && !isAllowed(error, config.allowedSimErrors)) {
      const verdict = judge(step, delivery, error)
      const { reason, message, afterMs, counts } = verdict
      if (afterMs === null)
        dropped.push({ subscription, interval, reason, message, ...blamed(reason, owner) })
      else
        postponed.push({ postponed: { subscription, interval, reason, message, afterMs, counts }, delivery })
      const fields = { chain: config.id, subscription, interval, error: message }
      log.warn('Did not send tx', { ...fields, again: afterMs !== null })
      continue
    }
    const gas = isHex(answer?.result) ? Number(hexToBigInt(answer.result)) : maxGasLimit
    if (isTooDear || gas > maxGasLimit) {
      const needed = isTooDear ? `more than ${triedGas * maxGasLimit}` : gas
      const message = `The delivery needs ${needed} gas; ${maxGasLimit} are the most.`
      dropped.push({ subscription, interval, reason: 'output_too_large', message, refused: owner })
      log.warn('Did not send tx', { chain: config.id, subscription, interval, error: message })
    } else passed.push({ ...delivery, gas })
  }
  await dropDeliveries(db, { chain: config.id, dropped, block: latest })
  await postponeDeliveries(db, { chain: config.id, postponed: await explainLacking(step, postponed) })
  return passed
}

/** What others, or the clock, have come to first is no fault of whoever asked; nor is a fee that was raised: the price itself never changes. */
const blameless: ReadonlySet<string> = new Set([
  'IntervalCompleted',
  'NodeRespondedAlready',
  'SubscriptionCompleted',
  'IntervalMismatch',
  'DeliveryTooLate',
  'PayoutTooLow',
])

function blamed(reason: string, owner: Address): { refused?: string } {
  return blameless.has(reason) ? {} : { refused: owner }
}

/**
 * What does not bring its gas, is over the budget, or would stake more than the node risks on a verifier waits: fees fall, a day passes, and stakes come
 * back. It is no try.
 */
async function withoutUnaffordable(
  step: Step,
  { passed, market }: { passed: readonly Passed[]; market: Market },
): Promise<readonly Passed[]> {
  const { db, chain, log } = step
  const why = new Map<Passed, string>(await whyUnaffordable(step, { passed, market }))
  const affordable = passed.filter(each => !why.has(each))
  for (const each of await overstaked(step, affordable)) why.set(each, 'stake_limit')
  if (why.size === 0) return passed
  const postponed = [...why].map(([{ subscription, interval }, reason]): Postponed => {
    return { subscription, interval, reason, message: messageOf(reason), afterMs: unservedMs, counts: 0 }
  })
  await postponeDeliveries(db, { chain: chain.config.id, postponed })
  for (const { subscription, interval, message } of postponed)
    log.warn('Did not send tx', {
      chain: chain.config.id,
      subscription,
      interval,
      error: message,
      again: true,
    })
  return passed.filter(each => !why.has(each))
}

/** What would bring less than it was computed for is tried again, as the fee may be lowered, and given up in the end; what is not told is no try. */
async function withoutUnderpaid(step: Step, passed: readonly Passed[]): Promise<readonly Passed[]> {
  const { db, chain, latest, log } = step
  const why = await whyUnderpaid(step, passed)
  if (why.size === 0) return passed
  const dropped: Dropped[] = []
  const postponed: Postponed[] = []
  for (const [{ subscription, interval, tries, owner }, reason] of why) {
    const isTried = reason === 'PayoutTooLow'
    const message = underpaid[reason]
    const isOver = isTried && tries + 1 >= maxKnown
    if (isOver) dropped.push({ subscription, interval, reason, message, ...blamed(reason, owner) })
    else {
      const afterMs = isTried ? Math.min(maxPauseMs, firstPauseMs * 2 ** tries) : unclearMs
      postponed.push({ subscription, interval, reason, message, afterMs, counts: isTried ? 1 : 0 })
    }
    const fields = { chain: chain.config.id, subscription, interval, error: message }
    log.warn('Did not send tx', { ...fields, again: !isOver })
  }
  await dropDeliveries(db, { chain: chain.config.id, dropped, block: latest })
  await postponeDeliveries(db, { chain: chain.config.id, postponed })
  return passed.filter(each => !why.has(each))
}

const underpaid = {
  PayoutTooLow: 'It would bring less than it was computed for',
  fee_unknown: 'What the protocol, or its verifier, takes of the pay could not be read',
} as const

function messageOf(reason: string): string {
  return reason === 'unprofitable' || reason === 'free_gas_spent' ? unserved[reason] : sentenceOf(reason)
}

/** `afterMs`: when to try again; null: never. */
function judge({ latest }: Step, { begin, deadline, tries }: Computed, error: RpcError) {
  const isSilent = error.unanswered === 'silent'
  if (error.isUnclear && !isSilent)
    return { reason: 'unclear', message: error.message, afterMs: unclearMs, counts: 0 } as const
  const revert: Revert = isSilent
    ? { kind: 'retry', code: 'silent', message: error.message, isKnown: false }
    : revertOf(error, { begin, end: deadline, time: latest.time })
  // What is no revert is about gas or time, and says nothing of the consumer.
  const most = revert.isKnown || !isRevert(error) ? maxKnown : maxUnknown
  const isWaitedFor = isAboutMoney(revert) && deadline !== null
  const isOver = revert.kind === 'drop' || (!isWaitedFor && tries + 1 >= most)
  const afterMs = isOver ? null : Math.min(maxPauseMs, firstPauseMs * 2 ** tries)
  return { reason: revert.code, message: revert.message, afterMs, counts: 1 } as const
}

/** @returns why nothing, or no more, is sent; null: all is. */
async function send(
  step: Step,
  { passed, market, open }: { passed: readonly Passed[]; market: Market; open: readonly Open[] },
): Promise<string | null> {
  const { chain, contracts, log } = step
  const { gas: policy } = chain.config
  if (passed.length === 0) return null
  const stuck = open.find(({ state }) => state === 'signed')
  if (stuck) return `Transaction ${stuck.nonce} was not taken by any endpoint`
  const fees = offer(policy, market)
  if (fees === null)
    return `The market asks ${market.baseFee + market.suggested} wei for a unit of gas; ${policy.maxFeePerGas} are the most`
  const planned = planTransactions(passed, {
    canBatch: contracts.features.batch,
    maxGasLimit: policy.maxGasLimit,
    isContested: ({ redundancy }) =>
      isContested({ redundancy, self: chain.signer.address, peers: chain.config.guard.stagger.peers }),
  })
  let left = market.balance - open.reduce((sum, each) => sum + costOf(each.gas, each.fees.maxFeePerGas), 0n)
  const sendings: Sending[] = []
  let blocked: string | null = null
  for (const each of planned) {
    left -= costOf(each.gas, fees.maxFeePerGas)
    blocked = left < 0n ? insufficientFunds : null
    if (open.length + sendings.length >= policy.maxInFlight)
      blocked ??= `${policy.maxInFlight} transactions are on their way`
    if (blocked) break
    const allocated = await allocate(step, { planned: each, fees, first: market.nonce })
    if (allocated === null) continue
    sendings.push(allocated)
    tellAllocated(step, { planned: each, allocated })
  }
  if (blocked) log.warn('Signer blocked', { chain: chain.config.id, reason: blocked })
  return (await broadcast(step, sendings)) ?? blocked
}

function costOf(gas: number, maxFeePerGas: bigint): bigint {
  return BigInt(gas) * maxFeePerGas
}

function tellAllocated(
  { chain, log }: Step,
  { planned, allocated }: { planned: Planned; allocated: Sending },
): void {
  for (const { subscription, interval } of planned.deliveries) {
    const { nonce, hash } = allocated
    log.info('Delivery signed', { chain: chain.config.id, subscription, interval, nonce, hash })
  }
}
