import { sql } from 'drizzle-orm'
import type { ProofState } from '../../../protocol/proof.ts'
import type { Db } from '../../db/open.ts'
import type { TransactionKind } from '../outbox/open.ts'

/** A row of `subscriptions`, in full. */
export type SubscriptionRow = {
  chain: number
  id: number
  state: 'active' | 'refused' | 'ended'
  due_at: number | null
  next_interval: number
  reason: string | null
  message: string | null
  params: string | null
  created_at: number
  owner: string
  active_at: number
  period: number
  frequency: number
  redundancy: number
  container_id: string
  route: string | null
  lazy: number
  verifier: string
  payment_amount: string
  payment_token: string
  wallet: string
}

const columns =
  sql.raw(`chain, id, state, due_at, next_interval, reason, message, params, created_at, owner, active_at, period,
  frequency, redundancy, container_id, route, lazy, verifier, payment_amount, payment_token, wallet`)

export type PageOptions = {
  chain: number
  state: SubscriptionRow['state'] | null
  /** Only those with a lower id. */
  before: number | null
  limit: number
}

/** Subscriptions of a chain, the newest first: by the primary key, or by its state's index. */
export async function listSubscriptions(
  { orm }: Db,
  { chain, state, before, limit }: PageOptions,
): Promise<SubscriptionRow[]> {
  const inState = state === null ? sql`` : sql`and state = ${state}`
  const older = before === null ? sql`` : sql`and id < ${before}`
  return await orm.all<SubscriptionRow>(sql`
    select ${columns} from subscriptions where chain = ${chain} and id > 0 ${inState} ${older} order by id desc limit ${limit}`)
}

export type DeliveryRow = {
  subscription: number
  interval: number
  job: string
  state: 'computing' | 'computed' | 'sending' | 'delivered' | 'final' | 'dropped'
  reason: string | null
  message: string | null
  tries: number
  deadline: number | null
  created_at: number
  nonce: number | null
  tx_state: 'signed' | 'sent' | 'mined' | 'final' | 'displaced' | null
  tx_kind: TransactionKind | null
  problem: string | null
  hash: string | null
  mined_block: number | null
  status: number | null
  gas_used: number | null
  gas_price: string | null
  /** JSON: what is booked of it; none where it is not mined, or that is forgotten. */
  gas_costs: string
  stake: string | null
  proof_state: ProofState | null
  proof_problem: string | null
  expires_at: number | null
  refunds: number | null
  payout: string | null
  settled_by: string | null
  settled_hash: string | null
  settled_block: number | null
}

const deliveries =
  sql.raw(`select d.subscription, d.interval, d.job, d.state, d.reason, d.message, d.tries, d.deadline, d.created_at,
    t.nonce, t.state as tx_state, t.kind as tx_kind, t.problem,
    coalesce(t.mined_hash, (select hash from raws where raws.tx = t.id order by seq desc limit 1)) as hash,
    t.mined_block, t.status, t.gas_used, t.gas_price,
    (select json_group_array(gas_cost) from ledger indexed by sqlite_autoindex_ledger_1 where ledger.tx = t.id) as gas_costs, d.stake, p.state as proof_state, p.problem as proof_problem, p.expires_at, p.refunds,
    p.payout, p.settled_by, p.settled_hash, p.settled_block
  from deliveries d left join transactions t on t.id = d.tx
    left join proofs p on p.chain = d.chain and p.subscription = d.subscription and p.interval = d.interval`)

/** A subscription and its newest deliveries. */
export async function readSubscription(
  { orm }: Db,
  { chain, id, limit }: { chain: number; id: number; limit: number },
): Promise<{ row: SubscriptionRow; deliveries: DeliveryRow[] } | null> {
  const [rows, sent] = await orm.batch([
    orm.all<SubscriptionRow>(sql`select ${columns} from subscriptions where chain = ${chain} and id = ${id}`),
    orm.all<DeliveryRow>(
      sql`${deliveries} where d.chain = ${chain} and d.subscription = ${id} and d.interval > 0 order by d.interval desc limit ${limit}`,
    ),
  ])
  return rows[0] ? { row: rows[0], deliveries: sent } : null
}

/** What a job computes for, and how its answer fares; null: no chain asked for it. */
export async function readDeliveryOfJob(
  { orm }: Db,
  job: string,
): Promise<(DeliveryRow & { chain: number }) | null> {
  const [row] = await orm.all<DeliveryRow & { chain: number }>(
    sql`select delivery.*, (select chain from deliveries where job = ${job}) as chain from (${deliveries} where d.job = ${job}) as delivery`,
  )
  return row ?? null
}

export type DelegatedRow = {
  id: string
  chain: number
  subscription: number
  nonce: number
  expiry: number
  data_signed: number
}

/** What was taken on over HTTP, by the id that its client was given; with its subscription, whichever id that has by then. */
export async function readDelegated(
  { orm }: Db,
  { id, limit }: { id: string; limit: number },
): Promise<{ taken: DelegatedRow; row: SubscriptionRow; deliveries: DeliveryRow[] } | null> {
  const place = sql`(select chain, subscription from delegations where id = ${id})`
  const [taken, rows, sent] = await orm.batch([
    orm.all<DelegatedRow>(
      sql`select id, chain, subscription, nonce, expiry, data_signed from delegations where id = ${id}`,
    ),
    orm.all<SubscriptionRow>(sql`select ${columns} from subscriptions where (chain, id) in ${place}`),
    orm.all<DeliveryRow>(
      sql`${deliveries} where (d.chain, d.subscription) = ${place} and d.interval > 0 order by d.interval desc limit ${limit}`,
    ),
  ])
  return taken[0] && rows[0] ? { taken: taken[0], row: rows[0], deliveries: sent } : null
}
