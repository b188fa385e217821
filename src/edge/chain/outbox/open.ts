import { sql } from 'drizzle-orm'
import type { Address, Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import type { Fees } from './fees.ts'

/** A transaction that is not mined yet, with the last that was signed for it. */
export type Open = {
  id: string
  nonce: number
  state: 'signed' | 'sent'
  kind: 'deliver' | 'cancel'
  to: Address
  gas: number
  deadline: number | null
  sentBlock: number | null
  passedBlock: number | null
  /** Whether an answer still waits for it. One that carries none must not be mined: its subscription may be another by now. */
  carries: boolean
  /** Hashes of all that was signed, the last one last. */
  hashes: Hex[]
  fees: Fees
}

type Row = {
  id: string
  nonce: number
  state: 'signed' | 'sent'
  kind: 'deliver' | 'cancel'
  to: Address
  gas_limit: number
  deadline: number | null
  sent_block: number | null
  passed_block: number | null
  carries: number
  hashes: string
  max_fee: string
  priority_fee: string
}

/** More than may be on their way at once. */
const maxOpen = 128

/** What a signer has on its way, by nonce. */
export async function readOpen(
  { orm }: Db,
  { chain, signer }: { chain: number; signer: Address },
): Promise<Open[]> {
  const rows = await orm.all<Row>(sql`
    select t.id, nonce, state, kind, "to", gas_limit, deadline, sent_block, passed_block, last.max_fee, last.priority_fee,
      exists (select 1 from deliveries indexed by deliveries_tx where tx = t.id and state = 'sending') as carries,
      (select json_group_array(hash) from (select hash from raws where raws.tx = t.id order by seq)) as hashes
    from transactions t indexed by transactions_open
      join raws last on last.tx = t.id and last.seq = (select max(seq) from raws where raws.tx = t.id)
    where chain = ${chain} and signer = ${signer} and state in ('signed', 'sent') order by nonce limit ${maxOpen}`)
  return rows.map(row => ({
    id: row.id,
    nonce: row.nonce,
    state: row.state,
    kind: row.kind,
    to: row.to,
    gas: row.gas_limit,
    deadline: row.deadline,
    sentBlock: row.sent_block,
    passedBlock: row.passed_block,
    carries: row.carries === 1,
    hashes: JSON.parse(row.hashes) as Hex[],
    fees: { maxFeePerGas: BigInt(row.max_fee), maxPriorityFeePerGas: BigInt(row.priority_fee) },
  }))
}

/** What was last signed for these transactions, in full. */
export async function readRaws({ orm }: Db, ids: readonly string[]): Promise<Map<string, Hex>> {
  if (ids.length === 0) return new Map()
  const rows = await orm.all<{ tx: string; raw: Hex }>(sql`
    select tx, raw from raws where tx in (select value from json_each(${JSON.stringify(ids)}))
      and seq = (select max(seq) from raws as others where others.tx = raws.tx)`)
  return new Map(rows.map(({ tx, raw }) => [tx, raw]))
}
