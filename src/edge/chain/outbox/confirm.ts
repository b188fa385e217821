import type { GasPolicy } from '../chain.ts'
import { anchorCall } from '../next-id.ts'
import { words } from '../refusal.ts'
import type { Step } from '../step.ts'
import { blockTimes } from './block-times.ts'
import { broadcast, type Sending } from './broadcast.ts'
import { type Covered, holdsUp, isNeeded, readCovered } from './covered.ts'
import type { SignerReport } from './deliver.ts'
import { forgetPassed, noteTaken } from './displace.ts'
import { bumped, type Fees, isShort, offered, within } from './fees.ts'
import { fillHoles } from './fill.ts'
import { takeBack } from './left.ts'
import { type Market, marketCalls, readMarket } from './market.ts'
import { writeMined } from './mined.ts'
import { asSigned, type Open, readOpen } from './open.ts'
import { isAbove, receiptCalls, receiptsOf } from './receipts.ts'
import { type Aim, type Replacing, replace } from './replace.ts'

/**
 * Looks after what is on its way, at a new block: what was mined is written down; whose nonce another has taken is given back; what is stuck
 * is replaced; what no endpoint has taken is sent again. Nothing is waited for: what is not mined is looked at again at the next block.
 */
export async function confirm(step: Step): Promise<SignerReport | null> {
  const { db, chain, contracts, latest } = step
  const open = await readOpen(db, { chain: chain.config.id, signer: chain.signer.address })
  if (open.length === 0) return null
  await takeBack(step, open)
  const answers = await chain.rpc.send(
    [...marketCalls(step), ...receiptCalls(open)],
    anchorCall(contracts, { at: latest.number, ids: [] }),
  )
  const { market, rest } = readMarket(step, answers)
  const receipts = receiptsOf(open, { answers: rest, coordinator: contracts.coordinator })
  const timeOf = await blockTimes(step, receipts.values())
  const sendings: Sending[] = []
  const again: Open[] = []
  const aims = new Map(open.map(each => [each.id, aimOf(step, each)]))
  const covered = await coveredOf(step, { open, aims })
  for (const each of open) {
    const receipt = receipts.get(each.id)
    if (receipt && isAbove(step, receipt)) continue
    if (receipt) await writeMined(step, { open: each, receipt, at: timeOf(receipt) })
    else if (market.nonce > each.nonce) await noteTaken(step, each)
    else await attend(step, { each, open, market, aim: aims.get(each.id) ?? null, covered, sendings, again })
  }
  sendings.push(...(await asSigned(step, again)))
  sendings.push(...(await fillHoles(step, { open, market })))
  const blocked = await broadcast(
    step,
    sendings.toSorted((a, b) => a.nonce - b.nonce),
  )
  return { balance: market.balance, blocked }
}

/** What their answers pay for, where the node works for no less, and any of them may have to be sent for more; null: whatever it takes. */
async function coveredOf(
  step: Step,
  { open, aims }: { open: readonly Open[]; aims: ReadonlyMap<string, Aim | null> },
): Promise<Covered | null> {
  if (step.chain.config.guard.worth.serve.kind !== 'profitable') return null
  const isRaised = open.some(({ id, kind }) => kind === 'deliver' && aims.get(id) === 'same')
  return isRaised
    ? await readCovered(
        step,
        open.filter(({ kind }) => kind === 'deliver'),
      )
    : null
}

type Attending = {
  each: Open
  open: readonly Open[]
  market: Market
  aim: Aim | null
  covered: Covered | null
  sendings: Sending[]
  again: Open[]
}

/** Of one that is neither mined nor displaced. */
async function attend(step: Step, { each, aim, sendings, again, ...rest }: Attending): Promise<void> {
  if (each.isDoubtful) return
  const wasPassed = each.passedBlock !== null
  if (wasPassed) await forgetPassed(step, each)
  if (aim !== null) {
    const replaced = await replace(step, { open: each, ...worthwhile(step, { each, aim, ...rest }) })
    if (replaced) sendings.push(replaced)
    // At the ceiling, or the market's price, it is sent as it is: endpoints forget what waits for long.
    else if (aim === 'same' || aim === 'cheaper') again.push(each)
  } else if (each.state === 'signed' || wasPassed) again.push(each)
}

/**
 * An answer is sent for more as long as it brings that. Beyond it waits as it is, until gas costs less; but not where its nonce is needed, by what comes
 * behind it and pays, where it takes the room or the funds of whatever would, or since no endpoint has it: then nothing may go behind it. What the ceiling
 * holds waits, as it does where everybody is served.
 */
function worthwhile(
  step: Step,
  { each, open, market, aim, covered }: Omit<Attending, 'sendings' | 'again'> & { aim: Aim },
): Omit<Replacing, 'open'> {
  if (aim !== 'same' || covered === null || each.kind !== 'deliver') return { market, aim, most: null }
  const { gas } = step.chain.config
  const most = covered.get(each.id)
  const asItIs = { market, aim, most: 0n }
  // What the chain takes beside gas is not told at the moment.
  if (most === undefined) return asItIs
  // For less than the market asks it need not be signed anew, and endpoints may not take it.
  if (!isShort(gas, most, market) && bumped(within(gas, most), each.fees, market) !== null)
    return { market, aim, most }
  if (isAtCeiling(gas, { fees: each.fees, most, market })) return asItIs
  if (each.state === 'sent') {
    const isInTheWay =
      isNeeded(step, { each, open, covered, market }) || holdsUp(step, { each, open, market })
    if (!isInTheWay || !isShort(gas, offered(each.fees, market), market)) return asItIs
  }
  return { market, aim: 'later', most: null }
}

/** Whether it is the ceiling that holds it, whatever it brings. Nothing is sent above that, so what is behind it has no need of its nonce, or its room. */
function isAtCeiling(
  gas: GasPolicy,
  { fees, most, market }: { fees: Fees; most: bigint; market: Market },
): boolean {
  if (isShort(gas, gas.maxFeePerGas, market)) return true
  return !isShort(gas, most, market) && bumped(gas, fees, market) === null
}

/** What has to become of it; null: nothing but to wait. */
function aimOf({ chain, latest }: Step, open: Open): Aim | null {
  const { bumpAfterBlocks } = chain.config.gas
  if (open.kind === 'deliver') {
    const isLate = open.deadline !== null && latest.time >= open.deadline
    if (isLate || open.answers === 0) return 'nothing'
    if (open.isAstray) return 'fewer'
  }
  if (open.problem === words.gas && open.kind !== 'cancel') return 'apart'
  if (open.problem === words.too_dear || open.problem === words.unpaid) return 'cheaper'
  const isStuck = open.sentBlock !== null && latest.number - open.sentBlock >= bumpAfterBlocks
  const isTooCheap = open.state === 'signed' && open.problem === words.too_cheap
  return isStuck || isTooCheap ? 'same' : null
}
