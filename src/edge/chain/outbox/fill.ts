import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import { keccak256 } from 'viem'
import type { Step } from '../step.ts'
import { toSignable } from './allocate.ts'
import type { Sending } from './broadcast.ts'
import { type Fees, offer } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'
import { cancelGas } from './replace.ts'
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
async function fill(
  { db, chain, log }: Step,
  { nonce, fees }: { nonce: number; fees: Fees },
): Promise<Sending | null> {
  const { orm, now } = db
  const { config, signer } = chain
  const content = { to: signer.address, data: '0x', gas: cancelGas } as const
  const raw = await signer.signTransaction(toSignable({ chainId: config.id, nonce, ...content, fees }))
  const [hash, id] = [keccak256(raw), uuidv7()]
  const [stored] = await orm.batch([
    orm.all(sql`
      insert into transactions (id, chain, signer, nonce, state, kind, "to", gas_limit, created_at, data)
      select ${id}, ${config.id}, ${signer.address}, ${nonce}, 'signed', 'cancel', ${content.to}, ${content.gas}, ${now}, '0x'
      where not ${isUsed({ chain: config.id, signer: signer.address, nonce })}
      on conflict do nothing returning id`),
    orm.run(sql`
      insert into raws (hash, tx, seq, max_fee, priority_fee, created_at, raw)
      select ${hash}, ${id}, 0, ${String(fees.maxFeePerGas)}, ${String(fees.maxPriorityFeePerGas)}, ${now}, ${raw}
      where exists (select 1 from transactions where id = ${id})`),
  ])
  if (stored.length === 0) return null
  log.warn('Filled a nonce', { chain: config.id, nonce, hash })
  return { id, nonce, hash, raw }
}
