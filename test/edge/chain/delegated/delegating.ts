import { sql } from 'drizzle-orm'
import { type Address, getAddress, type Hex, parseEventLogs, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { containersHash } from '../../../../src/client/containers-hash.ts'
import { type NewSubscription, signDelegatedSubscription } from '../../../../src/client/sign.ts'
import { accept } from '../../../../src/edge/chain/delegated/accept.ts'
import type { Door } from '../../../../src/edge/chain/delegated/door.ts'
import type { TakenOn } from '../../../../src/edge/chain/delegated/told.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import type { Db } from '../../../../src/edge/db/open.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { type DelegatedRequest, parseDelegated } from '../../../../src/protocol/delegated.ts'
import { toDelegation } from '../../../../src/protocol/delegation.ts'
import type { Refusal } from '../../../../src/protocol/error.ts'
import { type Contract, deploy, transact } from '../../../support/chain.ts'
import { type Changed, startTicking, type Ticking, type TickingOptions } from '../ticking.ts'

export const signer = privateKeyToAccount(`0x${'c3'.repeat(32)}`)
export const stranger = privateKeyToAccount(`0x${'d4'.repeat(32)}`)

export type Asking = Partial<NewSubscription> & {
  nonce?: number
  expiry?: number
  account?: typeof signer
  chainId?: number
  coordinator?: Address
}
export type Sending = { data?: string; door?: Door }
export type SubscriptionState = { id: number; state: string; reason: string | null }

/** A node before a chain with a consumer, `ChangingDelegator`, that `signer` signs for. */
export type Delegating = Ticking & {
  consumer: Contract
  /** Has the consumer called, in a transaction of its own. */
  call(functionName: string, ...args: unknown[]): Promise<void>
  /** A request as a client signs it. */
  sign(asking?: Asking): Promise<DelegatedRequest>
  /** Has a door take it on; absent: one of this node's. */
  send(request: DelegatedRequest, options?: Sending): Promise<TakenOn | { refusal: Refusal }>
  /** The same, which is to be taken on. */
  take(asking?: Asking | DelegatedRequest, options?: Sending): Promise<TakenOn>
  /** The code of the refusal that a request meets; null: it is taken on. */
  refusal(asking?: Asking | DelegatedRequest, options?: Sending): Promise<string | null>
  /** Somebody else creates what is asked for. @returns its id. */
  create(request: DelegatedRequest): Promise<number>
  /** Somebody else answers it, and creates it if nobody has. */
  answer(request: DelegatedRequest, options?: { interval?: number; output?: Hex }): Promise<void>
  /** Of delegations, as they came: the chain's id; below 0: it has none. */
  ids(): Promise<number[]>
  subscriptions(): Promise<SubscriptionState[]>
  /** Mines and looks, until nothing is on its way any more. */
  settle(node: ChainTick): Promise<void>
}

export async function startDelegating(
  options: TickingOptions & { door?: Changed } = {},
): Promise<Delegating> {
  const { door: changed, ...rest } = options
  const world = await startTicking(rest)
  const { chain, queue } = world
  const { orm } = queue.db
  const args = [chain.registry, signer.address]
  const consumer = await deploy(chain, { name: 'ChangingDelegator', args })
  const owner = getAddress(consumer.address)
  const own = await world.door(changed)
  const coordinator: Contract = { address: chain.coordinator, abi: eip712CoordinatorAbi as Contract['abi'] }
  let nonces = 0

  const sign: Delegating['sign'] = async ({
    nonce = ++nonces,
    expiry = 4_000_000_000,
    account = signer,
    chainId = chain.id,
    coordinator = chain.coordinator,
    ...subscription
  } = {}) => {
    const signed = await signDelegatedSubscription(account, {
      subscription: { owner, containers: containersHash(['echo']), ...subscription },
      nonce,
      expiry,
      chainId,
      coordinator,
    })
    return parsed({ ...signed, chain_id: chain.id })
  }
  const requestOf = async (asking: Asking | DelegatedRequest = {}) =>
    'signature' in asking ? asking : await sign(asking)
  const send: Delegating['send'] = async (request, { data = '{"a":1}', door = own } = {}) =>
    await accept(door, { request, data })
  const isBusy = async () => {
    const rows = await orm.all(sql`select 1 from deliveries where state in ('computed', 'sending') limit 1`)
    return rows.length > 0
  }

  return {
    ...world,
    consumer,
    async call(functionName, ...args) {
      await transact(chain, consumer, { functionName, args })
    },
    sign,
    send,
    async take(asking, options) {
      const taken = await send(await requestOf(asking), options)
      if ('refusal' in taken) throw new Error(JSON.stringify(taken.refusal))
      return taken
    },
    async refusal(asking, options) {
      const taken = await send(await requestOf(asking), options)
      return 'refusal' in taken ? taken.refusal.code : null
    },
    async create({ subscription, signature }) {
      const { nonce, expiry, sub } = toDelegation(subscription, signature)
      const { v, r, s } = signature
      const { logs } = await transact(chain, coordinator, {
        functionName: 'createSubscriptionDelegatee',
        args: [nonce, expiry, sub, v, r, s],
      })
      const [created] = parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'SubscriptionCreated', logs })
      if (!created) throw new Error('It was there already')
      return created.args.id
    },
    async answer({ subscription, signature }, { interval = 1, output = toHex('theirs') } = {}) {
      const { nonce, expiry, sub } = toDelegation(subscription, signature)
      const { v, r, s } = signature
      await transact(chain, coordinator, {
        functionName: 'deliverComputeDelegatee',
        args: [
          nonce,
          expiry,
          sub,
          v,
          r,
          s,
          interval,
          '0x',
          output,
          '0x',
          chain.deployer.wallet.account.address,
        ],
      })
    },
    async ids() {
      const rows = await orm.all<{ subscription: number }>(
        sql`select subscription from delegations order by id`,
      )
      return rows.map(({ subscription }) => subscription)
    },
    subscriptions: () =>
      orm.all<SubscriptionState>(sql`select id, state, reason from subscriptions order by id`),
    async close() {
      // One in a file is filled past this process, and what is left of its connections then is reset.
      const wrong = options.path === undefined ? await miscounts(queue.db) : []
      await world.close()
      if (wrong.length > 0) throw new Error(`The room is miscounted: ${JSON.stringify(wrong)}`)
    },
    async settle(node) {
      for (let block = 0; block < 12; block++) {
        await world.mine()
        // What waits after a try that failed.
        await orm.run(sql`update deliveries set not_before = 0`)
        await world.look(node)
        if (block > 1 && !(await isBusy())) return
      }
      throw new Error(`It does not settle: ${JSON.stringify(await world.deliveries())}`)
    },
  }
}

/**
 * How far what is counted of the room is from what the rows say: empty when it is right. Whose data is forgotten may be looked for once more, as when it
 * has begun again and ended: the next look finds nothing to forget, and does not look again.
 */
export async function miscounts({ orm }: Db): Promise<unknown[]> {
  return await orm.all(sql`
    with states as (
      select place, d.chain, d.owner, d.data_bytes, coalesce(s.state, 'active') as state, d.subscription < 0 and (coalesce(s.state, 'active') = 'active'
        or exists (select 1 from deliveries as x where x.chain = d.chain and x.subscription = d.subscription and interval > 0 and x.state <> 'dropped')) as waits,
        iif(d.data_bytes > 0, iif(s.state = 'ended', s.kept_since, null), (select over_since from delegation_shares where delegation_shares.place = d.place)) as over_since
      from delegations as d left join subscriptions as s on s.chain = d.chain and s.id = d.subscription),
    shares as (select place, chain, owner, waits, iif(waits or state = 'active', data_bytes, 0) as bytes, over_since is not null as is_over from states),
    kept as (select place, chain, owner, waits, bytes, over_since is not null as is_over from delegation_shares),
    counts as (select chain, owner, sum(waits) as waiting, sum(bytes) as bytes from shares group by chain, owner having sum(waits) + sum(bytes) > 0
      union all select chain, '*', sum(waits), sum(bytes) from shares group by chain having sum(waits) + sum(bytes) > 0),
    counted as (select chain, owner, waiting, bytes from delegation_counts where waiting <> 0 or bytes <> 0)
    select * from (select 'share' as what, * from shares except select 'share', * from kept)
    union all select * from (select 'kept share', * from kept except select 'kept share', * from shares)
    union all select what, chain, owner, waiting, bytes, null, null from (select 'count' as what, * from counts except select 'count', * from counted)
    union all select what, chain, owner, waiting, bytes, null, null from (select 'kept count' as what, * from counted except select 'kept count', * from counts)
    limit 20`)
}

function parsed(signed: unknown): DelegatedRequest {
  const { request, problems } = parseDelegated(signed)
  if (problems) throw new Error(problems.join('; '))
  return request
}
