import { type Address, isAddress } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import type { Domain } from '../../protocol/typed-data.ts'
import { pickDomain } from '../delegated.ts'
import { createDelegations, type Delegations } from '../delegations.ts'
import type { NewSubscription } from '../sign.ts'
import { UsageError } from './exit.ts'
import { openClient, wholeOf } from './options.ts'

/** @throws UsageError */
export function openChain(rpcUrl: string): Delegations {
  if (!URL.canParse(rpcUrl) || !/^https?:/.test(rpcUrl)) throw new UsageError('--rpc must be an HTTP URL')
  return createDelegations(rpcUrl)
}

type DomainArgs = { chain?: string | undefined; coordinator?: string | undefined; url?: string | undefined }

/** What the signature is good for: as it is named, else as the chain and the node say. */
export async function domainOf(args: DomainArgs, chain: Delegations | null): Promise<Domain> {
  const { coordinator } = args
  if (coordinator !== undefined && !isAddress(coordinator))
    throw new UsageError('--coordinator must be an address with a right checksum')
  const asked = args.chain === undefined ? undefined : wholeOf('--chain', args.chain)
  const found = await chain?.chainId()
  if (asked !== undefined && found !== undefined && asked !== found)
    throw new UsageError(`--rpc is of chain ${found}, not ${asked}`)
  const chainId = asked ?? found
  if (chainId !== undefined && coordinator !== undefined) return { chainId, coordinator }
  const { chains } = await openClient(args.url).info()
  return pickDomain(chains, { chainId, coordinator })
}

type ToCheck = {
  domain: Domain
  subscription: NewSubscription
  account: PrivateKeyAccount
  /** null: any. */
  chosen: number | null
}

/** Refuses what the coordinator would refuse, or take for something else. @returns the nonce. */
export async function checkDelegation(
  chain: Delegations,
  { domain: { coordinator }, subscription, account, chosen }: ToCheck,
): Promise<number> {
  const { owner } = subscription
  if (!isAddress(owner)) throw new UsageError('subscription.owner: must be an address with a right checksum')
  await checkSigner(chain, { owner, account })
  if (chosen === null) return await chain.unusedNonce({ coordinator, owner })
  const used = await chain.usedFor({ coordinator, owner }, chosen)
  if (used === null) return chosen
  throw new UsageError(
    used === 'invalidated'
      ? `Nonce ${chosen} was invalidated`
      : `Nonce ${chosen} stands for subscription ${used} already`,
  )
}

async function checkSigner(
  chain: Delegations,
  { owner, account }: { owner: Address; account: PrivateKeyAccount },
): Promise<void> {
  const { address, isContract } = await chain.signerOf(owner)
  if (isContract || address.toLowerCase() === account.address.toLowerCase()) return
  throw new UsageError(
    `Subscriptions of ${owner} are signed by ${address}, the key is that of ${account.address}`,
  )
}
