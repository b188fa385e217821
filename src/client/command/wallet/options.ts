import { type Address, isAddress } from 'viem'
import type { FactoryPlace } from '../../wallet/factory.ts'
import { createWallets, type Wallets } from '../../wallets.ts'
import { UsageError } from '../exit.ts'
import { readAccount } from '../key.ts'
import { named, wholeOf } from '../options.ts'

/** Options that the commands of wallets share. */
export const rpcUrl = {
  type: 'string',
  alias: 'rpc',
  description: 'URL of a node of the chain (or RPC_URL).',
  valueHint: 'url',
} as const
export const privateKey = {
  type: 'string',
  description:
    'Private key of the sender, or a file with it that nobody else may read; -pk (or PRIVATE_KEY).',
  valueHint: 'key|file',
} as const
export const wallet = {
  type: 'string',
  alias: 'w',
  required: true,
  description: 'The wallet.',
  valueHint: 'address',
} as const
export const creditor = {
  type: 'string',
  required: true,
  description: "To whom it is owed: a node's wallet, or a consumer's.",
  valueHint: 'address',
} as const
export const token = {
  type: 'string',
  alias: 't',
  default: '0x0000000000000000000000000000000000000000',
  description: 'The token; ETH if it is not said.',
  valueHint: 'address',
} as const
export const amount = {
  type: 'string',
  alias: 'a',
  required: true,
  description: 'In base units (wei), or "0.1 ether", "5 gwei", or in the token\'s own unit: "1.5 token".',
  valueHint: 'amount',
} as const
export const factory = {
  type: 'string',
  description: 'The WalletFactory (or FACTORY_ADDRESS).',
  valueHint: 'address',
} as const
export const registry = {
  type: 'string',
  description: 'The registry, which names the factory (or REGISTRY_ADDRESS).',
  valueHint: 'address',
} as const
export const timeout = {
  type: 'string',
  default: '120',
  description: 'Seconds to wait until it is mined.',
  valueHint: 'n',
} as const
export const json = { type: 'boolean', default: false, description: 'Print JSON.' } as const

type RpcArgs = { 'rpc-url'?: string | undefined }

/** To look at wallets. @throws UsageError */
export function openReads(args: RpcArgs): Wallets {
  return createWallets({ rpcUrl: urlOf(args) })
}

/** To send. @throws UsageError */
export async function openSender(
  args: RpcArgs & { 'private-key'?: string | undefined; timeout: string },
): Promise<{ wallets: Wallets; sender: Address }> {
  const rpcUrl = urlOf(args)
  const waitMs = wholeOf('--timeout', args.timeout) * 1000
  if (waitMs === 0 || waitMs > 2 ** 31) throw new UsageError('--timeout must be from 1 second to 24 days')
  const signer = await readAccount(named('--private-key', args['private-key'], 'PRIVATE_KEY'))
  return { wallets: createWallets({ rpcUrl, signer, waitMs }), sender: signer.address }
}

function urlOf({ 'rpc-url': given }: RpcArgs): string {
  const url = named('--rpc-url', given, 'RPC_URL')
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new UsageError('--rpc-url must be an HTTP URL')
  return url
}

/** @throws UsageError */
export function addressOf(option: string, text: string): Address {
  if (isAddress(text)) return text
  throw new UsageError(`${option} must be an address with a right checksum, or in lower case`)
}

/** What is said goes before what the environment says. undefined: nothing says it. @throws UsageError */
export function placeOf(given: {
  factory?: string | undefined
  registry?: string | undefined
}): FactoryPlace | undefined {
  if (given.factory && given.registry) throw new UsageError('--factory and --registry say the same')
  const isSaid = given.factory !== undefined || given.registry !== undefined
  const { factory, registry } = isSaid
    ? given
    : { factory: process.env.FACTORY_ADDRESS, registry: process.env.REGISTRY_ADDRESS }
  if (factory) return { factory: addressOf('--factory', factory) }
  return registry ? { registry: addressOf('--registry', registry) } : undefined
}
