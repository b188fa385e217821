import { type Address, getAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { containersHash } from '../../../src/client/containers-hash.ts'
import { type NewSubscription, signDelegatedSubscription } from '../../../src/client/sign.ts'
import { accept, type Door, type TakenOn } from '../../../src/edge/chain/delegated/accept.ts'
import { type DelegatedRequest, parseDelegated } from '../../../src/protocol/delegated.ts'
import type { Refusal } from '../../../src/protocol/error.ts'
import { deploy } from '../../support/chain.ts'
import type { RpcProxyOptions } from '../../support/rpc-proxy.ts'
import { startTicking, type Ticking } from './ticking.ts'

export const signer = privateKeyToAccount(`0x${'c3'.repeat(32)}`)
export const stranger = privateKeyToAccount(`0x${'d4'.repeat(32)}`)

export type Asking = Partial<NewSubscription> & {
  nonce?: number
  expiry?: number
  account?: typeof signer
}

/** A node before a chain with a consumer that `signer` signs for. */
export type Delegating = Ticking & {
  consumer: Address
  /** A request as a client signs it. */
  sign(asking?: Asking): Promise<DelegatedRequest>
  /** Has a door take it on; absent: one of this node's. */
  send(
    request: DelegatedRequest,
    options?: { data?: string; door?: Door },
  ): Promise<TakenOn | { refusal: Refusal }>
  /** The same, which is to be taken on. */
  take(asking?: Asking, options?: { data?: string; door?: Door }): Promise<TakenOn>
  /** Of delegations: the chain's id, or one below 0. */
  ids(): Promise<number[]>
}

export async function startDelegating(options: RpcProxyOptions = {}): Promise<Delegating> {
  const world = await startTicking(options)
  const { chain, queue } = world
  const args = [chain.registry, signer.address]
  const consumer = getAddress((await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })).address)
  const own = await world.door()
  let nonces = 0

  const sign: Delegating['sign'] = async ({
    nonce = ++nonces,
    expiry = 4_000_000_000,
    account = signer,
    ...subscription
  } = {}) => {
    const signed = await signDelegatedSubscription(account, {
      subscription: { owner: consumer, containers: containersHash(['echo']), ...subscription },
      nonce,
      expiry,
      chainId: chain.id,
      coordinator: chain.coordinator,
    })
    const { request, problems } = parseDelegated(signed)
    if (problems) throw new Error(problems.join('; '))
    return request
  }
  const send: Delegating['send'] = async (request, { data = '{"a":1}', door = own } = {}) =>
    await accept(door, { request, data })

  return {
    ...world,
    consumer,
    sign,
    send,
    async take(asking, options) {
      const taken = await send(await sign(asking), options)
      if ('refusal' in taken) throw new Error(JSON.stringify(taken.refusal))
      return taken
    },
    async ids() {
      const rows = await queue.db.orm.all<{ subscription: number }>(
        'select subscription from delegations order by created_at, place',
      )
      return rows.map(({ subscription }) => subscription)
    },
  }
}
