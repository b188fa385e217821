import { sql } from 'drizzle-orm'
import type { ProofEntry, ProofState } from '../../../protocol/proof.ts'
import type { Db } from '../../db/open.ts'
import { type ProofRow, proofView } from './view.ts'

/** Where a page ends. `at`: when a pending one is looked at again; of the others, the block that has settled it. */
export type ProofPlace = readonly [
  list: 'pending' | 'settled',
  at: number,
  subscription: number,
  interval: number,
]

export type ProofsAsked = {
  chain: number
  /** null: pending ones first, then all others. */
  state: ProofState | null
  after: ProofPlace | null
  limit: number
}

/** A proof and its place. */
export type PlacedProof = { proof: ProofEntry; place: ProofPlace }

type Row = ProofRow & {
  subscription: number
  interval: number
  verifier: string | null
  token: string | null
  looks: number
  due_at: number | null
  at: number
}

const columns =
  sql.raw(`subscription, interval, stake_verifier as verifier, stake_token as token, stake, state, payout, expires_at, refunds, looks, due_at, problem,
  settled_by, settled_hash, settled_block`)

/**
 * Proofs of a chain: those that wait, in the order in which they are looked at, then those that do not, the newest verdict first. A page is as much work
 * as it has rows; of one state, as there are rows of others between them.
 */
export async function listProofs(db: Db, asked: ProofsAsked): Promise<PlacedProof[]> {
  const { state, after, limit } = asked
  const wantsPending = (state === null || state === 'pending') && after?.[0] !== 'settled'
  const pending = wantsPending ? await selectPending(db, asked) : []
  if (state === 'pending' || pending.length >= limit) return pending
  const settled = await selectSettled(db, {
    ...asked,
    after: after?.[0] === 'settled' ? after : null,
    limit: limit - pending.length,
  })
  return [...pending, ...settled]
}

async function selectPending({ orm }: Db, { chain, after, limit }: ProofsAsked): Promise<PlacedProof[]> {
  const further =
    after === null
      ? sql``
      : sql`and (due_at, subscription, interval) > (${after[1]}, ${after[2]}, ${after[3]})`
  const rows = await orm.all<Row>(sql`
    select ${columns}, due_at as at from proofs indexed by proofs_due where chain = ${chain} and state = 'pending' ${further}
    order by due_at, subscription, interval limit ${limit}`)
  return rows.map(row => toPlaced('pending', row))
}

async function selectSettled(
  { orm }: Db,
  { chain, state, after, limit }: ProofsAsked,
): Promise<PlacedProof[]> {
  const inState = state === null ? sql`` : sql`and state = ${state}`
  const further =
    after === null
      ? sql``
      : sql`and (settled_block, subscription, interval) < (${after[1]}, ${after[2]}, ${after[3]})`
  const rows = await orm.all<Row>(sql`
    select ${columns}, settled_block as at from proofs indexed by proofs_settled
    where chain = ${chain} and settled_block is not null ${inState} ${further}
    order by settled_block desc, subscription desc, interval desc limit ${limit}`)
  return rows.map(row => toPlaced('settled', row))
}

function toPlaced(list: ProofPlace[0], row: Row): PlacedProof {
  const { subscription, interval, verifier, token, looks, due_at } = row
  const proof = { subscription, interval, verifier, token, ...proofView(row), looks, due_at }
  return { proof, place: [list, row.at, subscription, interval] }
}
