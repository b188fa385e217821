import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import type { Block } from '../chain.ts'

/** Where the node has got to on a chain, as it was last written. */
export type Cursor = {
  version: number
  coordinator: string
  /** The first subscription that was not looked at yet. */
  nextId: number
  /** null: none yet. */
  head: Block | null
  judgedEpoch: number
}

/** What there is to do, as far as the database knows. */
export type Work = {
  cursor: Cursor
  /** The highest block in which something happened; null: nothing has. */
  noted: Block | null
  /** Unix seconds of block time at which the next subscription is due; null: none is. */
  dueAt: number | null
  /** Answers without a transaction, and when the next of them may be tried, in unix milliseconds of this machine. */
  computed: number
  triedAt: number | null
  /** Transactions on their way, and those of them that no endpoint has taken. */
  open: number
  unsent: number
  /** Those that were given up, and may be mined all the same. */
  displaced: number
  /** Those that are mined and not final, and the lowest block of them. */
  mined: number
  minedBlock: number | null
  /** Unix seconds of block time at which the next proof is looked at; null: none waits. */
  proofDueAt: number | null
  /** Whether there are subscriptions that another policy has refused than that of the moment. */
  isRefusing: boolean
}

type Row = {
  version: number
  coordinator: string
  next_id: number
  head_number: number
  head_hash: Hex | ''
  judged_epoch: number
  noted: string | null
  due_at: number | null
  computed: number
  tried_in: number | null
  open: number
  unsent: number
  displaced: number
  mined: number
  mined_block: number | null
  proof_due_at: number | null
  refusing: number
}

/** Makes the chain's row, unless there is one. */
export async function beginChain(
  { orm }: Db,
  {
    chain,
    coordinator,
    nextId,
    digest,
  }: { chain: number; coordinator: string; nextId: number; digest: string },
): Promise<void> {
  await orm.run(sql`
    insert into chains (id, coordinator, next_id, head_number, head_hash, judged_config)
    values (${chain}, ${coordinator}, ${nextId}, 0, '', ${digest}) on conflict (id) do nothing`)
}

/**
 * One statement, of seeks in partial indexes: what has ended costs nothing. `at`: unix milliseconds of this machine, whose clock is another
 * than the database's.
 * @returns null when the chain has no row yet.
 */
export async function readWork(
  { orm, now }: Db,
  { chain, at }: { chain: number; at: number },
): Promise<Work | null> {
  const [row] = await orm.all<Row>(sql`
    select chains.version, coordinator, next_id, head_number, head_hash, judged_epoch,
      (select json_array(number, hash) from chain_blocks where chain = ${chain} and number >= 0 order by number desc limit 1) as noted,
      (select min(due_at) from subscriptions where chain = ${chain} and state = 'active' and due_at >= 0) as due_at,
      (select count(*) from deliveries indexed by deliveries_computed where chain = ${chain} and state = 'computed') as computed,
      (select min(not_before) from deliveries indexed by deliveries_computed where chain = ${chain} and state = 'computed') - ${now} as tried_in,
      (select count(*) from transactions where chain = ${chain} and state in ('signed', 'sent')) as open,
      (select count(*) from transactions where chain = ${chain} and state in ('signed', 'sent') and +state = 'signed') as unsent,
      (select count(*) from transactions where chain = ${chain} and state = 'displaced' and passed_block is not null) as displaced,
      (select count(*) from transactions where chain = ${chain} and state = 'mined') as mined,
      (select min(mined_block) from transactions where chain = ${chain} and state = 'mined') as mined_block,
      (select min(due_at) from proofs indexed by proofs_due where chain = ${chain} and state = 'pending') as proof_due_at,
      exists (select 1 from subscriptions where chain = ${chain} and state = 'refused' and epoch < (select epoch from policy where id = 1)) as refusing
    from chains where id = ${chain}`)
  if (!row) return null
  return {
    cursor: {
      version: row.version,
      coordinator: row.coordinator,
      nextId: row.next_id,
      head: headOf(row),
      judgedEpoch: row.judged_epoch,
    },
    noted: row.noted === null ? null : notedOf(JSON.parse(row.noted) as [number, Hex]),
    dueAt: row.due_at,
    computed: row.computed,
    triedAt: row.tried_in === null ? null : at + row.tried_in,
    open: row.open,
    unsent: row.unsent,
    displaced: row.displaced,
    mined: row.mined,
    minedBlock: row.mined_block,
    proofDueAt: row.proof_due_at,
    isRefusing: row.refusing === 1,
  }
}

/** Of the block that was written down, what is compared is its number and its hash. */
function headOf({ head_number: number, head_hash: hash }: Row): Block | null {
  return hash === '' ? null : { number, hash, time: 0, baseFee: null }
}

function notedOf([number, hash]: [number, Hex]): Block {
  return { number, hash, time: 0, baseFee: null }
}
