import { anchorCall } from '../next-id.ts'
import { words } from '../refusal.ts'
import type { Step } from '../step.ts'
import { blockTimes } from './block-times.ts'
import { broadcast, type Sending } from './broadcast.ts'
import type { SignerReport } from './deliver.ts'
import { forgetPassed, noteTaken } from './displace.ts'
import { fillHoles } from './fill.ts'
import { takeBack } from './left.ts'
import { type Market, marketCalls, readMarket } from './market.ts'
import { writeMined } from './mined.ts'
import { asSigned, type Open, readOpen } from './open.ts'
import { isAbove, receiptCalls, receiptsOf } from './receipts.ts'
import { type Aim, replace } from './replace.ts'

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
  for (const each of open) {
    const receipt = receipts.get(each.id)
    if (receipt && isAbove(step, receipt)) continue
    if (receipt) await writeMined(step, { open: each, receipt, at: timeOf(receipt) })
    else if (market.nonce > each.nonce) await noteTaken(step, each)
    else await attend(step, { open: each, market, sendings, again })
  }
  sendings.push(...(await asSigned(step, again)))
  sendings.push(...(await fillHoles(step, { open, market })))
  const blocked = await broadcast(
    step,
    sendings.toSorted((a, b) => a.nonce - b.nonce),
  )
  return { balance: market.balance, blocked }
}

/** Of one that is neither mined nor displaced. */
async function attend(
  step: Step,
  { open, market, sendings, again }: { open: Open; market: Market; sendings: Sending[]; again: Open[] },
): Promise<void> {
  if (open.isDoubtful) return
  const wasPassed = open.passedBlock !== null
  if (wasPassed) await forgetPassed(step, open)
  const aim = aimOf(step, open)
  if (aim !== null) {
    const replaced = await replace(step, { open, market, aim })
    if (replaced) sendings.push(replaced)
    // At the ceiling, or the market's price, it is sent as it is: endpoints forget what waits for long.
    else if (aim === 'same' || aim === 'cheaper') again.push(open)
  } else if (open.state === 'signed' || wasPassed) again.push(open)
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
