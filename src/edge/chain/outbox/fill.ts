import { sql } from 'drizzle-orm'
import type { Step } from '../step.ts'
import type { Sending } from './broadcast.ts'
import { type Fees, offer } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'
import { cancelGas } from './replace.ts'
import { sign, storeSigned } from './signed.ts'
import { isUsed } from './used.ts'

/** At one look: the next ones go on. */
const maxHoles = 16

/**
 * Fills nonces that nothing of ours has, below what is on its way: a reorganisation may undo another's transaction, and what comes after it
 * would wait for ever. A transfer of nothing takes each.
 */
export async function fillHoles(
  step: Step,
  { open, market }: { open: readonly Open[]; market: Market },
): Promise<Sending[]> {
  const taken = new Set(open.map(({ nonce }) => nonce))
  const last = open.at(-1)?.nonce ?? market.nonce
  const fees = offer(step.chain.config.gas, market)
  const filled: Sending[] = []
  if (fees === null) return filled
  // An endpoint that tells of a nonce from long ago does not have us sign for all that came since.
  for (let nonce = market.nonce; nonce < Math.min(last, market.nonce + maxHoles); nonce++) {
    const sending = taken.has(nonce) ? null : await fill(step, { nonce, fees })
    if (sending) filled.push(sending)
  }
  return filled
}

/** @returns null when the nonce is somebody's: what is mined, or even forgotten, and an endpoint that lags has not told of. */
async function fill(step: Step, { nonce, fees }: { nonce: number; fees: Fees }): Promise<Sending | null> {
  const { db, chain, log } = step
  const { config, signer } = chain
  const content = { to: signer.address, data: '0x', gas: cancelGas } as const
  const signed = await sign(step, { kind: 'cancel', nonce, ...content, fees })
  const isFree = sql`not ${isUsed({ chain: config.id, signer: signer.address, nonce })}`
  const [stored] = await db.orm.batch(storeSigned(step, signed, isFree))
  if (stored.length === 0) return null
  log.warn('Filled a nonce', { chain: config.id, nonce, hash: signed.hash })
  return signed
}
