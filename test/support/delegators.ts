import { type Address, getAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { containersHash } from '../../src/client/containers-hash.ts'
import { toDelegatedText } from '../../src/client/delegated.ts'
import {
  type NewSubscription,
  type SignedSubscription,
  signDelegatedSubscription,
} from '../../src/client/sign.ts'
import { deploy, nodeKey, type TestChain } from './chain.ts'

export const signerKey = `0x${'c3'.repeat(32)}` as const
export const signer = privateKeyToAccount(signerKey)
export const stranger = privateKeyToAccount(`0x${'d4'.repeat(32)}`)

/** `expiry`: unix seconds. `account`: who signs; absent: who may. */
export type Asking = Partial<NewSubscription> & { nonce?: number; expiry?: number; account?: typeof signer }

/** A consumer that `signer` signs for. */
export type Delegator = {
  consumer: Address
  /** For `echo`, a callback, each with a nonce of its own, unless it says otherwise. */
  sign(asking?: Asking): Promise<SignedSubscription>
  /** The same as a body that a client sends. `data`: its JSON text. */
  body(asking?: Asking, data?: string): Promise<string>
}

export async function deployDelegator(chain: TestChain): Promise<Delegator> {
  const args = [chain.registry, signer.address]
  const consumer = getAddress((await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })).address)
  let nonces = 0

  const sign: Delegator['sign'] = async ({
    nonce = ++nonces,
    expiry = 4_000_000_000,
    account = signer,
    ...subscription
  } = {}) =>
    await signDelegatedSubscription(account, {
      subscription: { owner: consumer, containers: containersHash(['echo']), ...subscription },
      nonce,
      expiry,
      chainId: chain.id,
      coordinator: chain.coordinator,
    })

  return {
    consumer,
    sign,
    body: async (asking, data = '{"a":1}') => toDelegatedText(await sign(asking), { dataJson: data }),
  }
}

/** Variables of an edge that serves a chain, as its test's node. `url`: of its one endpoint. `config`: beside what must be there. */
export function chainVars(
  chain: Pick<TestChain, 'id' | 'registry'>,
  { url, config = {} }: { url: string; config?: Record<string, unknown> },
): Record<string, string> {
  return {
    CHAINS: JSON.stringify([{ id: chain.id, registry: chain.registry, ...config }]),
    [`CHAIN_${chain.id}_RPC_URLS`]: url,
    [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
  }
}
