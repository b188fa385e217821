import { sql } from 'drizzle-orm'
import { type Hex, keccak256 } from 'viem'
import type { Step } from '../step.ts'
import { toSignable } from './allocate.ts'
import type { Sending } from './broadcast.ts'
import { bumped } from './fees.ts'
import type { Market } from './market.ts'
import type { Open } from './open.ts'

/** A transfer of nothing to oneself takes 21,000; some chains count fees of their own in gas. */
const cancelGas = 100_000

/**
 * Signs a transaction anew for its nonce, for more. One that would do nothing any more becomes a transfer of nothing to the signer, and its
 * answers are given up: if what was sent before is mined all the same, and succeeds, they count as delivered.
 * @returns null when the ceiling does not let it be replaced, or somebody else was first.
 */
export async function replace(
  step: Step,
  { open, market, isVoid }: { open: Open; market: Market; isVoid: boolean },
): Promise<Sending | null> {
  const { db, chain } = step
  const { orm, now } = db
  const { config, signer } = chain
  const fees = bumped(config.gas, open.fees, market)
  if (fees === null) return null
  const content = isVoid
    ? { to: signer.address, data: '0x' as Hex, gas: cancelGas }
    : await contentOf(step, open)
  if (content === null) return null
  const raw = await signer.signTransaction(
    toSignable({ chainId: config.id, nonce: open.nonce, ...content, fees }),
  )
  const hash = keccak256(raw)
  const seq = open.hashes.length
  const isOurs = sql`exists (select 1 from raws where hash = ${hash} and tx = ${open.id})`
  const [stored] = await orm.batch([
    orm.all(sql`
      insert into raws (hash, tx, seq, max_fee, priority_fee, created_at, raw)
      select ${hash}, ${open.id}, ${seq}, ${String(fees.maxFeePerGas)}, ${String(fees.maxPriorityFeePerGas)}, ${now}, ${raw}
      where exists (select 1 from transactions where id = ${open.id} and state in ('signed', 'sent') and kind = ${open.kind})
      on conflict do nothing returning hash`),
    ...(isVoid ? voidStatements(step, { open, isOurs, to: content.to, gas: content.gas }) : []),
  ])
  return stored.length === 1 ? { id: open.id, nonce: open.nonce, hash, raw } : null
}

function voidStatements(
  { db: { orm } }: Step,
  { open, isOurs, to, gas }: { open: Open; isOurs: ReturnType<typeof sql>; to: Hex; gas: number },
) {
  return [
    orm.run(sql`
      update transactions set kind = 'cancel', "to" = ${to}, data = '0x', gas_limit = ${gas}, deadline = null
      where id = ${open.id} and ${isOurs}`),
    orm.run(sql`
      update deliveries set state = 'dropped', reason = 'too_late', message = 'The interval was over before the answer was mined.'
      where tx = ${open.id} and state = 'sending' and ${isOurs}`),
  ] as const
}

async function contentOf(
  { db }: Step,
  { id, to, gas }: Open,
): Promise<{ to: Hex; data: Hex; gas: number } | null> {
  const [row] = await db.orm.all<{ data: Hex }>(sql`select data from transactions where id = ${id}`)
  return row ? { to, data: row.data, gas } : null
}
