import {
  type Address,
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  http,
  parseEventLogs,
  toHex,
} from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { isPortFree } from '../port.ts'
import { startAnvil } from './anvil.ts'
import { type Deployer, type Deployment, deployContracts } from './deploy.ts'

/** A chain with our contracts, at the addresses that Infernet's own development chain has them at. */
export type LocalChain = Deployment & {
  id: number
  rpcUrl: string
  /** The first wallet, of anvil's second account. */
  wallet: Address
  /** The node's, which it owns: it is paid there, and stakes out of it. */
  nodeWallet: Address
  close(): Promise<void>
}

/** `viem/chains` has it too, with all others: it takes as long to load as the rest of viem. */
const anvilChain = defineChain({
  id: 31_337,
  name: 'anvil',
  nativeCurrency: { decimals: 18, name: 'Ether', symbol: 'ETH' },
  rpcUrls: { default: { http: [] } },
})
/** Known to everyone: anvil's own. */
const mnemonic = 'test test test test test test test test test test test junk'
/** Where tools look for a local chain. */
const usualPort = 8545
const pollingInterval = 20
/** Of anvil's accounts: as whom the local node answers. */
export const nodePlace = 3

/** The account that anvil makes rich, by its place from 0. */
export function anvilAccount(addressIndex: number) {
  return mnemonicToAccount(mnemonic, { addressIndex })
}

/** The private key of such an account. */
export function anvilKey(addressIndex: number): Hex {
  const { privateKey } = anvilAccount(addressIndex).getHdKey()
  if (!privateKey) throw new Error('A key without its private half')
  return toHex(privateKey)
}

/** What sends as an account, and waits for it. `id`: of the chain, if it is not anvil's own. */
export function createDeployer(
  rpcUrl: string,
  account: ReturnType<typeof anvilAccount>,
  id: number = anvilChain.id,
): Deployer {
  const shared = { chain: { ...anvilChain, id }, transport: http(rpcUrl), pollingInterval }
  return { wallet: createWalletClient({ ...shared, account }), chain: createPublicClient(shared) }
}

/** `blockTime`: as anvil's; transactions are mined at once all the same. `fee`: basis points of the protocol, of each side. */
export async function startLocalChain({
  blockTime,
  fee = 0,
}: {
  blockTime?: number
  fee?: number
} = {}): Promise<LocalChain> {
  const port = (await isPortFree(usualPort)) ? usualPort : 0
  const anvil = await startAnvil({
    port,
    automine: true,
    ...(blockTime === undefined ? {} : { blockTime }),
  })
  try {
    const account = anvilAccount(2)
    const deployer = createDeployer(anvil.rpcUrl, account)
    const deployment = await deployContracts(deployer, { recipient: account.address, fee })
    const wallet = await createWallet(deployer, deployment.walletFactory, anvilAccount(1).address)
    const nodeWallet = await createWallet(deployer, deployment.walletFactory, anvilAccount(nodePlace).address)
    return { id: anvilChain.id, ...deployment, ...anvil, wallet, nodeWallet }
  } catch (error) {
    await anvil.close()
    throw error
  }
}

/** Makes a wallet. @returns its address. */
export async function createWallet(
  { wallet, chain }: Deployer,
  factory: Address,
  owner: Address,
): Promise<Address> {
  const hash = await wallet.writeContract({
    address: factory,
    abi: walletFactoryAbi,
    functionName: 'createWallet',
    args: [owner],
  })
  const { logs } = await chain.waitForTransactionReceipt({ hash })
  const [created] = parseEventLogs({ abi: walletFactoryAbi, eventName: 'WalletCreated', logs })
  if (!created) throw new Error(`No wallet came out of ${hash}`)
  return created.args.wallet
}
