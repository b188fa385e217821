import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { anchorCall } from '../next-id.ts'
import type { Step } from '../step.ts'
import { displace } from './displace.ts'
import { isAbove, receiptCalls, receiptsOf } from './receipts.ts'

/** A transaction that was given up, and may be mined all the same. */
type Displaced = {
  id: string
  nonce: number
  /** Head when it was given up. */
  passedBlock: number
  /** Of all that was signed for it. */
  hashes: Hex[]
  /** What has its nonce, by its id; null: nothing of this node's. */
  heir: string | null
}

type Row = Omit<Displaced, 'hashes'> & { hashes: string }

/** Of one look; the next ones go on. */
const maxDisplaced = 128

/**
 * Looks for what was given up: a reorganisation may undo whatever had its nonce, and have it mined after all; or its receipt was only late. What is
 * found is on its way again, where it is found as mined; what had its nonce is not. Once no reorganisation reaches what has the nonce, it is forgotten.
 */
export async function confirmDisplaced(step: Step): Promise<void> {
  const { db, chain, contracts, latest, log } = step
  const displaced = await readDisplaced(step)
  if (displaced.length === 0) return
  const answers = await chain.rpc.send(
    receiptCalls(displaced),
    anchorCall(contracts, { at: latest.number, ids: [] }),
  )
  const receipts = receiptsOf(displaced, { answers, coordinator: contracts.coordinator })
  for (const each of displaced) {
    const receipt = receipts.get(each.id)
    if (!receipt || isAbove(step, receipt)) continue
    if (await takeUp(step, each))
      log.warn('Displaced transaction mined', {
        chain: chain.config.id,
        nonce: each.nonce,
        hash: receipt.hash,
      })
  }
  const horizon = latest.number - chain.config.reorgDepth
  const over = displaced.filter(({ id, passedBlock }) => passedBlock <= horizon && !receipts.has(id))
  await forget(db, over)
}

async function readDisplaced({ db: { orm }, chain }: Step): Promise<Displaced[]> {
  const rows = await orm.all<Row>(sql`
    select id, nonce, passed_block as "passedBlock",
      (select json_group_array(hash) from raws where raws.tx = old.id) as hashes,
      (select id from transactions as heir indexed by transactions_nonce
        where heir.chain = old.chain and heir.signer = old.signer and heir.nonce = old.nonce and heir.state <> 'displaced') as heir
    from transactions as old indexed by transactions_displaced
    where chain = ${chain.config.id} and state = 'displaced' and passed_block is not null order by passed_block limit ${maxDisplaced}`)
  return rows.map(row => ({ ...row, hashes: JSON.parse(row.hashes) as Hex[] }))
}

/** @returns false where it is taken up already, or a reorganisation of what has its nonce is still to be noticed. */
async function takeUp({ db, latest }: Step, { id, heir }: Displaced): Promise<boolean> {
  if (heir !== null)
    await displace(db, {
      id: heir,
      problem: 'An earlier transaction of the same nonce was mined',
      block: latest.number,
      where: sql`true`,
      why: null,
    })
  const taken = await db.orm.all(sql`
    update transactions set state = 'sent', problem = null, sent_block = ${latest.number}, passed_block = null, passed_at = null, left_at = null
    where id = ${id} and state = 'displaced' and not exists (
      select 1 from transactions as heir indexed by transactions_nonce
      where heir.chain = transactions.chain and heir.signer = transactions.signer and heir.nonce = transactions.nonce and heir.state <> 'displaced')
    returning id`)
  return taken.length > 0
}

async function forget({ orm }: Db, over: readonly Displaced[]): Promise<void> {
  if (over.length === 0) return
  const ids = JSON.stringify(over.map(({ id }) => id))
  const which = sql`(select id from transactions where id in (select value from json_each(${ids})) and state = 'displaced')`
  await orm.batch([
    orm.run(sql`delete from raws where tx in ${which}`),
    orm.run(sql`update transactions set passed_block = null, passed_at = null where id in ${which}`),
  ])
}
