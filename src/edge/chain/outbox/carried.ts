import { type SQL, sql } from 'drizzle-orm'
import type { Address, Hex } from 'viem'
import type { Db } from '../../db/open.ts'
import { delegatedDeliverSelector } from '../delegated/calls.ts'
import { begunTwice } from '../delegated/twice.ts'
import type { Stake } from '../stakes/staked.ts'
import { keyOf, namedWallet } from './batch.ts'
import type { Key } from './computed.ts'

/** An answer that a transaction carries, as its row has it. */
export type Carried = Key & {
  tries: number
  /** That it takes by itself, as it was estimated; null: it was not. */
  gas: number | null
  /** Who asked, and for how much, in base units; null: it is gone. */
  owner: Address | null
  price: string | null
  /** In which token, for which containers; and base units for the node, as they were reckoned when it was begun; null: they were not. */
  token: Address | null
  route: string | null
  payout: string | null
  /** Of its delegation, where the chain did not have the subscription; null: it had. */
  place: number | null
  /** Whether it creates what it answers. */
  creates: boolean
  /** Call data of one that is given up: its row does not say any more what it answers. */
  givenUp: Hex | null
  /** Given up for another answer to the same. */
  isTwice: boolean
  /** What backs its proof; null: nothing. */
  stake: Pick<Stake, 'token' | 'amount' | 'verifier'> | null
  /** The wallet that it names. */
  nodeWallet: Address | null
}

type Row = Omit<Carried, 'creates' | 'isTwice' | 'stake'> & {
  /** Call data of one that is paid, and whose wallet an older version has not noted. */
  unnoted: Hex | null
  creates: number
  twice: number
  stakeToken: Address | null
  stake: string | null
  verifier: Address | null
}

/** What a transaction carries. `tx`: its id. */
export async function readCarried(db: Db, tx: string): Promise<Carried[]> {
  return await readCarriedOf(db, sql`deliveries indexed by deliveries_tx where tx = ${tx}`)
}

/** `from`: rows of `deliveries`. */
export async function readCarriedOf({ orm }: Db, from: SQL): Promise<Carried[]> {
  const rows = await orm.all<Row>(sql`
    select subscription, interval, tries, gas,
      (select owner from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) as owner,
      (select payment_amount from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) as price,
      (select payment_token from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) as token,
      (select route from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) as route, min_payout as payout,
      (select place from delegations where delegations.chain = deliveries.chain
        and delegations.subscription = deliveries.subscription and delegations.subscription < 0) as place,
      call is not null and call like ${`${delegatedDeliverSelector}%`} as creates,
      iif(interval < 0 and state = 'dropped', call, null) as "givenUp",
      interval < 0 and state = 'dropped' and reason = ${begunTwice.reason} as twice,
      stake_token as "stakeToken", stake, stake_verifier as verifier, node_wallet as "nodeWallet",
      iif(node_wallet is null and (select payment_amount from subscriptions where subscriptions.chain = deliveries.chain and id = subscription) <> '0',
        call, null) as unnoted
    from ${from}`)
  return rows.map(({ creates, twice, stakeToken, stake, verifier, unnoted, ...rest }) => ({
    ...rest,
    nodeWallet: rest.nodeWallet ?? (unnoted === null ? null : namedWallet(unnoted, keyOf(rest))),
    creates: creates === 1,
    isTwice: twice === 1,
    stake:
      stakeToken === null || stake === null ? null : { token: stakeToken, amount: BigInt(stake), verifier },
  }))
}
