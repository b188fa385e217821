import { type SQL, sql } from 'drizzle-orm'
import type { Address, Hex } from 'viem'
import type { Db } from '../../db/open.ts'

/** What is kept of a request, beside the subscription. */
export type Delegated = {
  place: number
  id: string
  chain: number
  owner: Address
  nonce: number
  /** The chain's id for it; below 0: it has none. */
  subscription: number
  digest: Hex
  r: Hex
  s: Hex
  fingerprint: string
  dataSigned: boolean
}

export type NewDelegated = Delegated & {
  expiry: number
  v: number
  data: string
  dataBytes: number
}

type Row = Omit<Delegated, 'dataSigned'> & { data_signed: number; sent: number; begun: number }

/** `isDead`: nothing will come of it, and nothing has. `isBegun`: there is a job for it. */
export type Known = Delegated & { isDead: boolean; isBegun: boolean }

/** What was taken on for an owner's nonce; null: nothing. */
export async function selectDelegated(
  { orm }: Db,
  { chain, owner, nonce }: { chain: number; owner: Address; nonce: number },
): Promise<Known | null> {
  const [row] = await orm.all<Row & { state: string | null }>(sql`
    select place, d.id, d.chain, d.owner, d.nonce, d.subscription, digest, d.r, d.s, fingerprint, data_signed, s.state,
      exists (select 1 from deliveries where chain = d.chain and subscription = d.subscription and interval > 0) as begun,
      exists (select 1 from deliveries where chain = d.chain and subscription = d.subscription and interval > 0
        and deliveries.state <> 'dropped') as sent
    from delegations as d left join subscriptions as s on s.chain = d.chain and s.id = d.subscription
    where d.chain = ${chain} and d.owner = ${owner} and d.nonce = ${nonce}`)
  if (!row) return null
  const { data_signed, sent, begun, state, ...rest } = row
  return {
    ...rest,
    dataSigned: data_signed === 1,
    isDead: rest.subscription < 0 && state !== 'active' && sent === 0,
    isBegun: begun === 1,
  }
}

/**
 * How far this node has looked. `nextId`: the first subscription that was not looked at yet; null: none was. `head`: the highest
 * block that is written down.
 */
export type Looked = { nextId: number | null; head: number }

export async function selectLooked({ orm }: Db, chain: number): Promise<Looked> {
  const [row] = await orm.all<{ next_id: number; head: number }>(sql`
    select next_id, max(head_number, coalesce((select max(number) from chain_blocks where chain = ${chain}), 0)) as head
    from chains where id = ${chain}`)
  return { nextId: row?.next_id ?? null, head: row?.head ?? 0 }
}

/** Whether none was looked at since: what a look has found, a request that was verified before knows nothing of. */
export function isUnmoved(chain: number, nextId: number | null): SQL {
  return sql`(select next_id from chains where id = ${chain}) is ${nextId}`
}

/**
 * Whether it is for want of room that a request is not stored, and not because somebody else has its nonce; `former`: place of the one that
 * it replaces. A statement.
 */
export function seesRoom(
  { orm }: Db,
  {
    chain,
    owner,
    nonce,
    former,
    fits,
  }: Pick<Delegated, 'chain' | 'owner' | 'nonce'> & { former: number; fits: SQL },
) {
  return orm.all<{ full: number }>(sql`
    select not (${fits}) and not exists (
      select 1 from delegations where chain = ${chain} and owner = ${owner} and nonce = ${nonce} and place <> ${former}) as full`)
}

/** Stores it, unless its nonce has one already, and if `guard` holds. A statement; it returns its place. */
export function insertDelegated({ orm, now }: Db, delegated: NewDelegated, guard: SQL) {
  const { place, id, chain, owner, nonce, subscription, expiry, v, r, s } = delegated
  const { digest, dataSigned, data, dataBytes, fingerprint } = delegated
  return orm.all<{ place: number }>(sql`
    insert into delegations (place, id, chain, owner, nonce, subscription, expiry, v, r, s, digest, data_signed,
      data, data_bytes, fingerprint, created_at)
    select ${place}, ${id}, ${chain}, ${owner}, ${nonce}, ${subscription}, ${expiry}, ${v}, ${r}, ${s}, ${digest}, ${dataSigned ? 1 : 0},
      ${data}, ${dataBytes}, ${fingerprint}, ${now}
    where ${guard}
    on conflict do nothing returning place`)
}

/** Statements that forget one of which nothing has come, nor is on its way: another takes its place, if `guard` holds. */
export function forgetDelegated(
  { orm }: Db,
  { chain, place, guard }: { chain: number; place: number; guard: SQL },
) {
  const isIdle: SQL = sql`${guard} and exists (select 1 from delegations where place = ${place} and subscription = ${-place})
    and not exists (select 1 from deliveries where chain = ${chain} and subscription = ${-place} and interval > 0 and state <> 'dropped')`
  return [
    // No reorganisation has what was given up sent again. A transaction may be on its way for it all the same: its row stays.
    orm.run(sql`
      update deliveries set dropped_block = null where chain = ${chain} and subscription = ${-place} and ${isIdle}`),
    orm.run(sql`delete from subscriptions where chain = ${chain} and id = ${-place} and ${isIdle}`),
    orm.run(sql`delete from delegations where place = ${place} and ${isIdle}`),
  ] as const
}

/** `interval`: the one that is open by the clock, 0: none; null: it is over. */
export type Opening = { chain: number; place: number; interval: number | null }

/**
 * The chain's id of what was taken on, the interval that is open and the job for that, null while none has begun. Where a later one was begun,
 * the chain is further than the clock.
 */
export async function selectOpen(
  { orm }: Db,
  { chain, place, interval }: Opening,
): Promise<{ id: number; job: string | null; interval: number } | null> {
  const [row] = await orm.all<{ id: number; job: string | null; interval: number }>(sql`
    select id, interval, (select job from deliveries where chain = ${chain} and subscription = q.id and interval = q.interval) as job from (
      select subscription as id, iif(${interval} is null, 0, max(${interval}, coalesce((select max(interval) from deliveries
        where chain = ${chain} and subscription = d.subscription and interval > 0), 0))) as interval
      from delegations as d where place = ${place} and chain = ${chain}) as q`)
  return row ?? null
}
