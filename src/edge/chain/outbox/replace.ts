import { type SQL, sql } from 'drizzle-orm'
import { type Hex, keccak256 } from 'viem'
import type { Step } from '../step.ts'
import { keyOf, narrowed } from './batch.ts'
import type { Sending } from './broadcast.ts'
import { atCeiling, bumped } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'
import { toTransaction } from './signed.ts'

/** A transfer of nothing to oneself takes 21,000; some chains count fees of their own in gas. */
export const cancelGas = 100_000

/** `same`: for more. `fewer`: without the answers to subscriptions that are gone. `nothing`: a transfer of nothing to the signer. */
export type Aim = 'same' | 'fewer' | 'nothing'

type Content = { to: Hex; data: Hex; gas: number }

/**
 * Signs a transaction anew for its nonce, for more. Of one that becomes nothing the answers that it still carries are given up as too late:
 * if what was sent before is mined all the same, and succeeds, they count as delivered.
 * @returns null when the ceiling does not let it be replaced, or somebody else was first.
 */
export async function replace(
  step: Step,
  { open, market, aim }: { open: Open; market: Market; aim: Aim },
): Promise<Sending | null> {
  const { db, chain } = step
  const { orm, now } = db
  const { config, signer } = chain
  const raised = bumped(config.gas, open.fees, market)
  const fees = raised ?? (aim === 'same' ? null : atCeiling(config.gas, open.fees))
  if (fees === null) return null
  const content = await contentOf(step, open, aim)
  if (content === null) return null
  const raw = await signer.signTransaction(
    toTransaction({ chainId: config.id, nonce: open.nonce, ...content, fees }),
  )
  const hash = keccak256(raw)
  const seq = open.hashes.length
  const isOurs = sql`exists (select 1 from raws where hash = ${hash} and tx = ${open.id} and seq = ${seq})`
  const [stored] = await orm.batch([
    orm.all(sql`
      insert into raws (hash, tx, seq, max_fee, priority_fee, created_at, raw)
      select ${hash}, ${open.id}, ${seq}, ${String(fees.maxFeePerGas)}, ${String(fees.maxPriorityFeePerGas)}, ${now}, ${raw}
      where exists (select 1 from transactions where id = ${open.id} and state in ('signed', 'sent') and kind = ${open.kind})
      on conflict do nothing returning hash`),
    // Nobody has what was signed now.
    orm.run(sql`
      update transactions set state = 'signed', sent_block = null, problem = null
      where id = ${open.id} and state in ('signed', 'sent') and ${isOurs}`),
    ...statementsOf(step, { open, aim, content, isOurs }),
  ])
  return stored.length === 1 ? { id: open.id, nonce: open.nonce, hash, raw } : null
}

function statementsOf(
  { db: { orm } }: Step,
  { open: { id }, aim, content, isOurs }: { open: Open; aim: Aim; content: Content; isOurs: SQL },
) {
  if (aim === 'same') return []
  const { to, data, gas } = content
  if (aim === 'fewer')
    return [
      orm.run(sql`update transactions set data = ${data} where id = ${id} and ${isOurs}`),
      orm.run(sql`update deliveries set tx = null where tx = ${id} and interval < 0 and ${isOurs}`),
    ]
  return [
    orm.run(sql`
      update transactions set kind = 'cancel', "to" = ${to}, data = '0x', gas_limit = ${gas}, deadline = null
      where id = ${id} and ${isOurs}`),
    orm.run(sql`
      update deliveries set state = 'dropped', reason = 'too_late', message = 'The interval was over before the answer was mined.'
      where tx = ${id} and state = 'sending' and ${isOurs}`),
  ]
}

/** null: somebody else has replaced it, or has settled its answers. */
async function contentOf({ db, chain }: Step, { id, to, gas }: Open, aim: Aim): Promise<Content | null> {
  if (aim === 'nothing') return { to: chain.signer.address, data: '0x', gas: cancelGas }
  const [row] = await db.orm.all<{ data: Hex }>(sql`select data from transactions where id = ${id}`)
  if (!row) return null
  if (aim === 'same') return { to, data: row.data, gas }
  const kept = await db.orm.all<{ subscription: number; interval: number }>(sql`
    select subscription, interval from deliveries indexed by deliveries_tx where tx = ${id} and state = 'sending'`)
  const data = narrowed(row.data, new Set(kept.map(keyOf)))
  return data === null ? null : { to, data, gas }
}
