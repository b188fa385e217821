import { type SQL, sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { Db } from '../../db/open.ts'
import { keyOf } from '../outbox/batch.ts'
import { pairOf } from './judges.ts'
import { selectLocked, toLocked } from './locked.ts'

/**
 * Money of the node that a verifier may take, in base units, for so many answers. `verifier` null: it is not known, as of what an older version has
 * begun. `wallet`: that it is, or will be, locked in; null: the one of the moment when it is encoded, or it is not known.
 */
export type Stake = {
  token: Address
  verifier: Address | null
  amount: bigint
  count: number
  wallet: Address | null
}

/** `promised`: what answers will lock when they are mined. `locked`: what waits for verdicts. `stakings`: of the chain's row, as it was then; null: there is none yet. */
export type Stakes = { promised: readonly Stake[]; locked: readonly Stake[]; stakings: number | null }

type Row = { token: Address; verifier: Address | null; stake: string; wallet: Address | null; count: number }

/** All that is at stake at one moment. As much work as there are answers that are begun and not mined, whatever was before. */
export async function readStakes(db: Db, chain: number): Promise<Stakes> {
  const { orm } = db
  const [chains, promised, givenUp, locked] = await orm.batch([
    selectStakings(db, chain),
    orm.all<Row>(sql`
      select stake_token as token, stake_verifier as verifier, stake, node_wallet as wallet, count(*) as count from deliveries indexed by deliveries_staked
      where chain = ${chain} and stake_token is not null and state in ('computing', 'computed', 'sending')
      group by stake_token, stake_verifier, stake, node_wallet`),
    selectCarried(db, { chain, states: sql`('dropped')` }),
    selectLocked(db, chain),
  ])
  return {
    promised: [...promised, ...givenUp].map(toStake),
    locked: locked.map(toLocked),
    stakings: chains[0]?.stakings ?? null,
  }
}

/**
 * `sent`: the answers, by `keyOf`, whose stakes are among these since transactions on their way carry them. `stakings`: of the chain's row, as it was
 * then; null: there is none.
 */
export type Committed = { stakes: readonly Stake[]; sent: ReadonlySet<string>; stakings: number | null }

/** What is locked, and what transactions on their way will lock, at one moment: what is mined meanwhile is one of them, and never neither. */
export async function readCommitted(db: Db, chain: number): Promise<Committed> {
  const [chains, locked, sending] = await db.orm.batch([
    selectStakings(db, chain),
    selectLocked(db, chain),
    selectCarried(db, { chain, states: sql`('sending', 'dropped')` }),
  ])
  const stakings = chains[0]?.stakings ?? null
  const stakes = [...locked.map(toLocked), ...sending.map(toStake)]
  return { stakes, sent: new Set(sending.map(keyOf)), stakings }
}

/** A statement, and so is the next one. */
function selectStakings({ orm }: Db, chain: number) {
  return orm.all<{ stakings: number }>(sql`select stakings from chains where id = ${chain}`)
}

/** Answers that transactions on their way may lock stakes for. What is given up may be mined as it was sent, until another has its nonce. */
function selectCarried({ orm }: Db, { chain, states }: { chain: number; states: SQL }) {
  return orm.all<Row & { subscription: number; interval: number }>(sql`
    select d.subscription, d.interval, d.stake_token as token, d.stake_verifier as verifier, d.stake, d.node_wallet as wallet, 1 as count
    from transactions t indexed by transactions_open
      cross join deliveries d indexed by deliveries_tx on d.tx = t.id and d.state in ${states} and d.stake_token is not null
    where t.chain = ${chain} and t.state in ('signed', 'sent')`)
}

function toStake({ token, verifier, stake, wallet, count }: Row): Stake {
  return { token, verifier, wallet, amount: BigInt(stake) * BigInt(count), count }
}

/** Those that are locked in a wallet, or may be. */
export function inWallet(stakes: readonly Stake[], wallet: Address): Stake[] {
  return stakes.filter(each => each.wallet === null || each.wallet === wallet.toLowerCase())
}

/** Base units of each token. */
export function byToken(stakes: readonly Stake[]): Map<Address, bigint> {
  const sums = new Map<Address, bigint>()
  for (const { token, amount } of stakes) sums.set(token, (sums.get(token) ?? 0n) + amount)
  return sums
}

/** What is at stake with each verifier and token; whose verifier is not known counts to each. */
export function riskOf(
  stakes: readonly Stake[],
): (pair: { verifier: Address; paymentToken: Address }) => bigint {
  const sums = new Map<string, bigint>()
  const unknown = byToken(stakes.filter(({ verifier }) => verifier === null))
  for (const { token: paymentToken, verifier, amount } of stakes) {
    if (verifier === null) continue
    const pair = pairOf({ verifier, paymentToken })
    sums.set(pair, (sums.get(pair) ?? 0n) + amount)
  }
  return pair => (sums.get(pairOf(pair)) ?? 0n) + (unknown.get(pair.paymentToken) ?? 0n)
}
