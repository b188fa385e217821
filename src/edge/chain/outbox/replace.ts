import { type SQL, sql } from 'drizzle-orm'
import { type Hex, keccak256 } from 'viem'
import type { Unserved } from '../guard/serve.ts'
import type { Step } from '../step.ts'
import { sentenceOf } from '../telling.ts'
import { keyOf, narrowed } from './batch.ts'
import type { Sending } from './broadcast.ts'
import { type Earlier, findEarlier } from './earlier.ts'
import { atCeiling, bumped, type Fees, lowered, within } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'
import { unservedMs } from './patience.ts'
import { toTransaction } from './signed.ts'

/** A transfer of nothing to oneself takes 21,000; some chains count fees of their own in gas. */
export const cancelGas = 100_000

/**
 * `same`: for more. `cheaper`: for less, where that is too dear. `fewer`: without the answers to subscriptions that are gone. `nothing`: a transfer of
 * nothing to the signer. `apart`: that too, and its answers are sent anew, each by itself. `later`: that too, and its answers wait until gas costs less.
 */
export type Aim = 'same' | 'cheaper' | 'fewer' | 'nothing' | 'apart' | 'later'

/** Why answers go back, and wait. */
const dear: Unserved = 'unprofitable'
/** Why answers are sent anew: no endpoint lets through what gas they had. */
export const refusedGas = 'gas_refused'
/** For one nonce: the receipt of each is asked for at each block. */
const maxSigned = 32
/** Times that an answer may be refused for its gas. */
const maxRefusals = 3
const firstPauseMs = 2_000

type Content = { to: Hex; data: Hex; gas: number }

/** `most`: wei for a unit of gas, of what does the same for more; null: the ceiling alone. */
export type Replacing = { open: Open; market: Market; aim: Aim; most: bigint | null }

/**
 * Signs a transaction anew for its nonce. Of one that becomes nothing the answers that it still carries are given up as too late:
 * if what was sent before is mined all the same, and succeeds, they count as delivered.
 * @returns null when the ceiling, or the market, does not let it be replaced, or somebody else was first.
 */
export async function replace(step: Step, { open, market, aim, most }: Replacing): Promise<Sending | null> {
  const { db } = step
  const { orm, now } = db
  const wanted = feesOf(step, { open, market, aim, most })
  if (wanted === null) return null
  const content = await contentOf(step, open, aim)
  if (content === null) return null
  const signed = await signedFor(step, { open, aim, content, fees: wanted })
  if (signed === null) return null
  const { raw, fees } = signed
  const hash = keccak256(raw)
  const seq = open.seq + 1
  const isOurs = sql`exists (select 1 from raws where hash = ${hash} and tx = ${open.id} and seq = ${seq})`
  const [stored] = await orm.batch([
    orm.all(sql`
      insert into raws (hash, tx, seq, max_fee, priority_fee, created_at, raw)
      select ${hash}, ${open.id}, ${seq}, ${String(fees.maxFeePerGas)}, ${String(fees.maxPriorityFeePerGas)}, ${now}, ${raw}
      where exists (select 1 from transactions where id = ${open.id} and state in ('signed', 'sent') and kind = ${open.kind})
        and not exists (select 1 from raws where tx = ${open.id} and seq >= ${seq})
      on conflict (hash) do update set tx = excluded.tx, seq = excluded.seq returning hash`),
    // Nobody has what was signed now.
    orm.run(sql`
      update transactions set state = 'signed', sent_block = null, problem = null
      where id = ${open.id} and state in ('signed', 'sent') and ${isOurs}`),
    ...statementsOf(step, { open, aim, content, isOurs }),
  ])
  return stored.length === 1 ? { id: open.id, nonce: open.nonce, hash, raw } : null
}

/** A market that goes up and down has no nonce signed for without end: what was signed then is offered again. */
async function signedFor(
  { db, chain: { config, signer } }: Step,
  { open, aim, content, fees }: { open: Open; aim: Aim; content: Content; fees: Fees },
): Promise<Earlier | null> {
  const { id: tx, nonce, seq, hashes } = open
  if (hashes.length >= maxSigned && isSame(aim)) return await findEarlier(db, { tx, seq, ...content, fees })
  const transaction = toTransaction({ chainId: config.id, nonce, ...content, fees })
  return { raw: await signer.signTransaction(transaction), fees }
}

/** Whether it does what it did. */
function isSame(aim: Aim): boolean {
  return aim === 'same' || aim === 'cheaper'
}

function feesOf({ chain }: Step, { open, market, aim, most }: Replacing): Fees | null {
  const { gas } = chain.config
  if (aim === 'cheaper') return lowered(gas, open.fees, market)
  if (aim === 'same') return bumped(within(gas, most), open.fees, market)
  return bumped(gas, open.fees, market) ?? atCeiling(gas, open.fees)
}

function statementsOf(
  { db: { orm, now } }: Step,
  { open: { id }, aim, content, isOurs }: { open: Open; aim: Aim; content: Content; isOurs: SQL },
) {
  if (isSame(aim)) return []
  const { to, data, gas } = content
  if (aim === 'fewer')
    return [orm.run(sql`update transactions set data = ${data} where id = ${id} and ${isOurs}`)]
  return [
    orm.run(sql`
      update transactions set kind = 'cancel', "to" = ${to}, data = '0x', gas_limit = ${gas}, deadline = null
      where id = ${id} and ${isOurs}`),
    aim === 'later'
      ? orm.run(sql`
          update deliveries set state = 'computed', tx = null, not_before = ${now} + ${unservedMs}, reason = ${dear},
            message = ${sentenceOf(dear)}
          where tx = ${id} and state = 'sending' and ${isOurs}`)
      : aim === 'apart'
        ? orm.run(sql`
          update deliveries set tries = tries + 1, state = iif(tries + 1 < ${maxRefusals}, 'computed', 'dropped'),
            tx = iif(tries + 1 < ${maxRefusals}, null, tx), not_before = ${now} + (${firstPauseMs} << tries),
            reason = ${refusedGas}, message = 'No endpoint takes a transaction with the gas that the answer has.'
          where tx = ${id} and state = 'sending' and ${isOurs}`)
        : orm.run(sql`
          update deliveries set state = 'dropped', reason = 'too_late', message = 'The interval was over before the answer was mined.'
          where tx = ${id} and state = 'sending' and ${isOurs}`),
  ]
}

/** null: somebody else has replaced it, or has settled its answers. */
async function contentOf({ db, chain }: Step, { id, to, gas }: Open, aim: Aim): Promise<Content | null> {
  if (aim === 'nothing' || aim === 'apart' || aim === 'later')
    return { to: chain.signer.address, data: '0x', gas: cancelGas }
  const [row] = await db.orm.all<{ data: Hex }>(sql`select data from transactions where id = ${id}`)
  if (!row) return null
  if (isSame(aim)) return { to, data: row.data, gas }
  const kept = await db.orm.all<{ subscription: number; interval: number }>(sql`
    select subscription, interval from deliveries indexed by deliveries_tx where tx = ${id} and state = 'sending'`)
  const data = narrowed(row.data, new Set(kept.map(keyOf)))
  return data === null ? null : { to, data, gas }
}
