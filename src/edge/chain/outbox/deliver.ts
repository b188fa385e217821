import { withoutStaggered } from '../guard/staggered.ts'
import { anchorCall } from '../next-id.ts'
import { sendApart } from '../send-apart.ts'
import type { Step } from '../step.ts'
import { type Computed, readComputed } from './computed.ts'
import { estimateCall } from './estimate.ts'
import { foilCalls, withoutFoiled } from './foil.ts'
import { marketCalls, readMarket } from './market.ts'
import { readOpen } from './open.ts'
import { insufficientFunds, send } from './send.ts'
import { sift } from './sift.ts'
import { isUnpaid } from './unpaid.ts'
import { withoutBarred, withoutLate } from './withheld.ts'
import { withoutUnaffordable, withoutUnderpaid } from './worthy.ts'

/** As the signer was found. `blocked`: why nothing more is sent at the moment. */
export type SignerReport = { balance: bigint | null; blocked: string | null }

/** `isLeft`: there are more answers than one look takes. `isHeld`: what there is lets other nodes go first, at this block. */
export type Delivering = { signer: SignerReport | null; isLeft: boolean; isHeld: boolean }

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
  const affordable = await withoutUnaffordable(step, { passed: worthy, market })
  const unpaid = answers.some(isUnpaid) ? insufficientFunds : null
  const blocked = (await send(step, { ...affordable, market, open })) ?? unpaid
  return {
    signer: { balance: market.balance, blocked },
    isLeft: blocked === null && isLeft,
    isHeld,
  }
}
