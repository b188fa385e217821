import { type SQL, sql } from 'drizzle-orm'
import type { Address, Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { dueAgain } from '../rewind-subscriptions.ts'
import type { Step } from '../step.ts'
import type { Sending } from './broadcast.ts'
import type { Fees } from './fees.ts'

/** What it is for, as `transactions.kind` has it. */
export type TransactionKind = 'deliver' | 'approve' | 'finalize' | 'cancel'

/** A transaction that is not mined yet, with the last that was signed for it. */
export type Open = {
  id: string
  signer: Address
  nonce: number
  state: 'signed' | 'sent'
  kind: TransactionKind
  to: Address
  gas: number
  deadline: number | null
  sentBlock: number | null
  passedBlock: number | null
  /** Unix milliseconds; null: it was not noted. */
  passedAt: number | null
  /** Unix seconds of block time since when its signer is another than the node's; null: it is not. */
  leftAt: number | null
  /** Why no endpoint took what was last signed. */
  problem: string | null
  /** Answers that it carries, and that nobody has given up. */
  answers: number
  /** Whether what was last signed also brings answers to subscriptions that are gone: their ids may be others' by now. */
  isAstray: boolean
  /** Whether a reorganisation has put one of its subscriptions in doubt: the schedule has not yet told whether it is the same. */
  isDoubtful: boolean
  /** Hashes of all that was signed, the last one last, and its place. */
  hashes: Hex[]
  seq: number
  fees: Fees
}

type Row = {
  id: string
  signer: Address
  nonce: number
  state: 'signed' | 'sent'
  kind: TransactionKind
  to: Address
  gas_limit: number
  deadline: number | null
  sent_block: number | null
  passed_block: number | null
  passed_at: number | null
  left_at: number | null
  problem: string | null
  answers: number
  astray: number
  doubtful: number
  hashes: string
  seq: number
  max_fee: string
  priority_fee: string
}

/** More than may be on their way at once. */
const maxOpen = 128

type Whose = { chain: number; signer: Address }

/** What a signer has on its way, by nonce. */
export async function readOpen(db: Db, { chain, signer }: Whose): Promise<Open[]> {
  return await read(db, { chain, where: sql`t.signer = ${signer}` })
}

/** What others than a signer have on their way: each one's by nonce. */
export async function readOthers(db: Db, { chain, signer }: Whose): Promise<Open[]> {
  return await read(db, { chain, where: sql`t.signer <> ${signer}` })
}

async function read({ orm }: Db, { chain, where }: { chain: number; where: SQL }): Promise<Open[]> {
  const carried = sql`deliveries d indexed by deliveries_tx`
  const rows = await orm.all<Row>(sql`
    select t.id, t.signer, t.nonce, t.state, t.kind, t."to", t.gas_limit, t.deadline, t.sent_block, t.passed_block, t.passed_at, t.left_at, t.problem,
      last.seq, last.max_fee, last.priority_fee,
      (select count(*) from ${carried} where d.tx = t.id and d.state = 'sending') as answers,
      exists (select 1 from ${carried} where d.tx = t.id and d.interval < 0 and instr(t.data, substr(d.call, 3))) as astray,
      exists (select 1 from ${carried} join subscriptions s on s.chain = d.chain and s.id = d.subscription
        where d.tx = t.id and s.state = 'active' and s.due_at = ${dueAgain.inDoubt}) as doubtful,
      (select json_group_array(hash) from (select hash from raws where raws.tx = t.id order by seq)) as hashes
    from transactions t indexed by transactions_open
      join raws last on last.tx = t.id and last.seq = (select max(seq) from raws where raws.tx = t.id)
    where t.chain = ${chain} and ${where} and t.state in ('signed', 'sent') order by t.signer, t.nonce limit ${maxOpen}`)
  return rows.map(row => ({
    id: row.id,
    signer: row.signer,
    nonce: row.nonce,
    state: row.state,
    kind: row.kind,
    to: row.to,
    gas: row.gas_limit,
    deadline: row.deadline,
    sentBlock: row.sent_block,
    passedBlock: row.passed_block,
    passedAt: row.passed_at,
    leftAt: row.left_at,
    problem: row.problem,
    answers: row.answers,
    isAstray: row.astray === 1,
    isDoubtful: row.doubtful === 1,
    hashes: JSON.parse(row.hashes) as Hex[],
    seq: row.seq,
    fees: { maxFeePerGas: BigInt(row.max_fee), maxPriorityFeePerGas: BigInt(row.priority_fee) },
  }))
}

/** What was last signed for these, to be sent again as it is. */
export async function asSigned({ db }: Step, open: readonly Open[]): Promise<Sending[]> {
  const raws = await readRaws(
    db,
    open.map(({ id }) => id),
  )
  return open.flatMap(({ id, nonce, hashes }) => {
    const [raw, hash] = [raws.get(id), hashes.at(-1)]
    return raw && hash ? [{ id, nonce, hash, raw }] : []
  })
}

/** Some 256 KiB each at most: an SQL response may have 4 MiB, at some hosts. */
const rawsPerStatement = 8

async function readRaws({ orm }: Db, ids: readonly string[]): Promise<Map<string, Hex>> {
  const raws = new Map<string, Hex>()
  for (let first = 0; first < ids.length; first += rawsPerStatement) {
    const named = JSON.stringify(ids.slice(first, first + rawsPerStatement))
    const rows = await orm.all<{ tx: string; raw: Hex }>(sql`
      select tx, raw from raws where tx in (select value from json_each(${named}))
        and seq = (select max(seq) from raws as others where others.tx = raws.tx)`)
    for (const { tx, raw } of rows) raws.set(tx, raw)
  }
  return raws
}
