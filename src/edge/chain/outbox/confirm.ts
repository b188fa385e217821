import { sql } from 'drizzle-orm'
import { anchorCall } from '../next-id.ts'
import { words } from '../refusal.ts'
import type { Step } from '../step.ts'
import { broadcast, type Sending } from './broadcast.ts'
import type { SignerReport } from './deliver.ts'
import { fillHoles } from './fill.ts'
import { type Market, marketCalls, readMarket } from './market.ts'
import { writeMined } from './mined.ts'
import { type Open, readOpen, readRaws } from './open.ts'
import { type Receipt, readReceipt } from './receipt.ts'
import { type Aim, replace } from './replace.ts'

/** For so long a receipt may come after the count of the nonces that it is about. */
const passedMs = 10_000

/**
 * Looks after what is on its way, at a new block: what was mined is written down; whose nonce another has taken is given back; what is stuck
 * is replaced; what no endpoint has taken is sent again. Nothing is waited for: what is not mined is looked at again at the next block.
 */
export async function confirm(step: Step): Promise<SignerReport | null> {
  const { db, chain, contracts, latest } = step
  const open = await readOpen(db, { chain: chain.config.id, signer: chain.signer.address })
  if (open.length === 0) return null
  const hashes = open.flatMap(each => each.hashes)
  const answers = await chain.rpc.send(
    [...marketCalls(step), ...hashes.map(hash => ({ method: 'eth_getTransactionReceipt', params: [hash] }))],
    anchorCall(contracts, { at: latest.number, ids: [] }),
  )
  const { market, rest } = readMarket(step, answers)
  const receipts = new Map<string, Receipt>()
  for (const [index, hash] of hashes.entries()) {
    const receipt = readReceipt(rest[index], contracts.coordinator)
    if (receipt) receipts.set(hash, receipt)
  }
  const sendings: Sending[] = []
  const again: Open[] = []
  for (const each of open) {
    const receipt = each.hashes.map(hash => receipts.get(hash)).find(found => found !== undefined)
    // A block that nobody has looked at yet is looked at next: only then its reorganisation would be noticed.
    if (receipt && isAbove(step, receipt)) continue
    if (receipt) await writeMined(step, { open: each, receipt })
    else if (market.nonce > each.nonce) await noteTaken(step, each)
    else await attend(step, { open: each, market, sendings, again })
  }
  const raws = await readRaws(
    db,
    again.map(({ id }) => id),
  )
  for (const { id, nonce, hashes: signed } of again) {
    const raw = raws.get(id)
    const hash = signed.at(-1)
    if (raw && hash) sendings.push({ id, nonce, hash, raw })
  }
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
    // At the ceiling it is sent as it is: endpoints forget what waits for long.
    else if (aim === 'same') again.push(open)
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
  const isStuck = open.sentBlock !== null && latest.number - open.sentBlock >= bumpAfterBlocks
  const isTooCheap = open.state === 'signed' && open.problem === words.too_cheap
  return isStuck || isTooCheap ? 'same' : null
}

/** Another transaction had the nonce, and a reorganisation has undone it. Endpoints have forgotten ours meanwhile. */
async function forgetPassed({ db }: Step, { id }: Open): Promise<void> {
  await db.orm.run(sql`
    update transactions set passed_block = null, passed_at = null
    where id = ${id} and state in ('signed', 'sent') and passed_block is not null`)
}

/**
 * The chain has used its nonce, and nothing of ours was mined. Receipts may lag behind counts, by more than a block where blocks are a
 * fraction of a second apart: it is believed at a later block, and some time after it was first seen.
 */
async function noteTaken({ db, chain, latest, log }: Step, open: Open): Promise<void> {
  const { orm, now } = db
  if (open.passedBlock === null) {
    await orm.run(sql`
      update transactions set passed_block = ${latest.number}, passed_at = ${now}
      where id = ${open.id} and state in ('signed', 'sent') and passed_block is null`)
    return
  }
  const isDisplaced = sql`exists (select 1 from transactions where id = ${open.id} and state = 'displaced')`
  const [displaced] = await orm.batch([
    orm.all(sql`
      update transactions set state = 'displaced', problem = 'Another transaction has taken the nonce'
      where id = ${open.id} and state in ('signed', 'sent') and passed_block < ${latest.number}
        and passed_at <= ${now} - ${passedMs} returning id`),
    orm.run(sql`
      update deliveries set state = 'computed', tx = null where tx = ${open.id} and state = 'sending' and ${isDisplaced}`),
    orm.run(sql`delete from raws where tx = ${open.id} and ${isDisplaced}`),
  ])
  if (displaced.length > 0)
    log.warn('Nonce taken by another transaction', { chain: chain.config.id, nonce: open.nonce })
}

function isAbove({ latest }: Step, { block, blockHash }: Receipt): boolean {
  return block > latest.number || (block === latest.number && blockHash !== latest.hash)
}
