import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import type { Step } from '../step.ts'
import type { Open } from './open.ts'

/** For so long a receipt may come after the count of the nonces that it is about. */
const passedMs = 10_000

/** Another transaction had the nonce, and a reorganisation has undone it. Endpoints have forgotten ours meanwhile. */
export async function forgetPassed({ db }: Step, { id }: Open): Promise<void> {
  await db.orm.run(sql`
    update transactions set passed_block = null, passed_at = null
    where id = ${id} and state in ('signed', 'sent') and passed_block is not null`)
}

/**
 * The chain has used its nonce, and nothing of ours was mined. Receipts may lag behind counts, by more than a block where blocks are a
 * fraction of a second apart: it is believed at a later block, and some time after it was first seen.
 */
export async function noteTaken({ db, chain, latest, log }: Step, open: Open): Promise<void> {
  const { orm, now } = db
  // Edges of an older version, on the same database, note the block alone.
  if (open.passedBlock === null || open.passedAt === null) {
    await orm.run(sql`
      update transactions set passed_block = ${latest.number}, passed_at = ${now}
      where id = ${open.id} and state in ('signed', 'sent') and (passed_block is null or passed_at is null)`)
    return
  }
  const displaced = await displace(db, {
    id: open.id,
    problem: 'Another transaction has taken the nonce',
    block: latest.number,
    where: sql`passed_block < ${latest.number} and passed_at <= ${now} - ${passedMs}`,
    why: null,
  })
  if (displaced) log.warn('Nonce taken by another transaction', { chain: chain.config.id, nonce: open.nonce })
}

export type Displacement = {
  id: string
  /** For the transaction, and for its answers where they are to be told. */
  problem: string
  why: { reason: string; message: string } | null
  /** The head: what was signed is kept until no reorganisation reaches it. */
  block: number
  /** Only if it holds, by the transaction's columns. */
  where: SQL
}

/**
 * Gives a transaction up, so that its answers are sent by another. It may be mined all the same, and is looked for by what was signed.
 * @returns false when it is as it was.
 */
export async function displace(
  { orm }: Db,
  { id, problem, where, why, block }: Displacement,
): Promise<boolean> {
  const isDisplaced = sql`exists (select 1 from transactions where id = ${id} and state = 'displaced')`
  const [displaced] = await orm.batch([
    orm.all(sql`
      update transactions set state = 'displaced', problem = ${problem}, passed_block = ${block}
      where id = ${id} and state in ('signed', 'sent') and ${where} returning id`),
    orm.run(sql`
      update deliveries set state = 'computed', tx = null, reason = ${why?.reason ?? null}, message = ${why?.message ?? null}
      where tx = ${id} and state = 'sending' and ${isDisplaced}`),
  ])
  return displaced.length > 0
}
