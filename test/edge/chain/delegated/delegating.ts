import { sql } from 'drizzle-orm'
import { type Address, getAddress, type Hex, parseEventLogs, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { containersHash } from '../../../../src/client/containers-hash.ts'
import { type NewSubscription, signDelegatedSubscription } from '../../../../src/client/sign.ts'
import { accept } from '../../../../src/edge/chain/delegated/accept.ts'
import type { Door } from '../../../../src/edge/chain/delegated/door.ts'
import type { TakenOn } from '../../../../src/edge/chain/delegated/told.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
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

function parsed(signed: unknown): DelegatedRequest {
  const { request, problems } = parseDelegated(signed)
  if (problems) throw new Error(problems.join('; '))
  return request
}
