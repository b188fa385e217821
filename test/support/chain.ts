import { readFileSync } from 'node:fs'
import {
  type Abi,
  type Address,
  createTestClient,
  type Hex,
  http,
  maxUint256,
  parseEventLogs,
  type TestClient,
  zeroAddress,
} from 'viem'
import { runForge } from '../../scripts/forge.ts'
import { startAnvil } from '../../src/local/chain/anvil.ts'
import { type Deployer, type Deployment, deployContracts } from '../../src/local/chain/deploy.ts'
import { anvilAccount, createDeployer, createWallet } from '../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../../src/protocol/abi/wallet.ts'

/** A chain of its own with our contracts. What it mines, it mines at once; its time is set by the test. */
export type TestChain = Deployment & {
  rpcUrl: string
  id: number
  /** Sends as the account that deployed everything, and owns it. */
  deployer: Deployer
  anvil: TestClient
  /** Mines a block so many seconds after the one before. */
  warp(seconds: number): Promise<void>
  close(): Promise<void>
}

/** A contract that has been deployed. */
export type Contract = { address: Address; abi: Abi }

/** Of anvil's accounts: who deploys, and whose node's key tests may use. */
const deployerPlace = 2
export const nodeKey: Hex = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d'
export const nodeAddress: Address = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8'

/** `fee`: basis points of the protocol. `id`: anvil's own unless given. `blockGas`: as anvil's. */
export async function startTestChain({
  fee = 0,
  id = 31_337,
  blockGas = 30_000_000,
}: {
  fee?: number
  id?: number
  blockGas?: number
} = {}): Promise<TestChain> {
  const { rpcUrl, close } = await startAnvil({ chainId: id, blockGas })
  try {
    const account = anvilAccount(deployerPlace)
    const deployer = createDeployer(rpcUrl, account, id)
    const deployment = await deployContracts(deployer, { recipient: account.address, fee })
    const anvil = createTestClient({ mode: 'anvil', transport: http(rpcUrl) })
    return {
      ...deployment,
      rpcUrl,
      id,
      deployer,
      anvil,
      async warp(seconds) {
        const { timestamp } = await deployer.chain.getBlock()
        await anvil.setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) })
        await anvil.mine({ blocks: 1 })
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Solidity files, by the folder that they are in, from `contracts`. */
const folders = { support: 'test/support', examples: '../examples/consumer' }

/** A contract for tests, or one of the examples; built if it was not. `file`: if it is not called as the contract is. */
export async function deploy(
  { deployer }: TestChain,
  {
    name,
    file = name,
    folder = 'support',
    args = [],
  }: { name: string; file?: string; folder?: keyof typeof folders; args?: readonly unknown[] },
): Promise<Contract> {
  build(`${folders[folder]}/${file}.sol`)
  const path = new URL(`../../contracts/out/${file}.sol/${name}.json`, import.meta.url)
  const { abi, bytecode } = JSON.parse(readFileSync(path, 'utf8')) as { abi: Abi; bytecode: { object: Hex } }
  const hash = await deployer.wallet.deployContract({ abi, bytecode: bytecode.object, args })
  const { contractAddress } = await deployer.chain.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error(`${name} was not created`)
  return { address: contractAddress, abi }
}

const built = new Set<string>()

/** Once for each process, which stands still meanwhile. */
function build(path: string): void {
  if (built.has(path)) return
  if (!runForge(['build', path, '--silent'])) throw new Error('The contracts do not build')
  built.add(path)
}

/** Calls a function in a transaction, and waits for it. @returns its receipt. */
export async function transact(
  { deployer }: TestChain,
  { address, abi }: Contract,
  { functionName, args = [] }: { functionName: string; args?: readonly unknown[] },
) {
  const hash = await deployer.wallet.writeContract({ address, abi, functionName, args })
  const receipt = await deployer.chain.waitForTransactionReceipt({ hash })
  if (receipt.status !== 'success') throw new Error(`${functionName} failed: ${hash}`)
  return receipt
}

/** The subscription that a call has made. */
export async function createdBy(
  chain: TestChain,
  contract: Contract,
  call: { functionName: string; args?: readonly unknown[] },
): Promise<number> {
  const { logs } = await transact(chain, contract, call)
  const [created] = parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'SubscriptionCreated', logs })
  if (!created) throw new Error(`${call.functionName} made no subscription`)
  return created.args.id
}

export type Asked = {
  container?: string
  frequency?: number
  period?: number
  redundancy?: number
  lazy?: boolean
  token?: Address
  amount?: bigint
  wallet?: Address
  verifier?: Address
}

/** Has an `AskingConsumer`, or any `EmptyConsumer`, ask; a callback unless it says otherwise. @returns the id. */
export async function createSubscription(
  chain: TestChain,
  consumer: Contract,
  {
    container = 'echo',
    frequency = 1,
    period = 0,
    redundancy = 1,
    lazy = false,
    token = zeroAddress,
    amount = 0n,
    wallet = zeroAddress,
    verifier = zeroAddress,
  }: Asked = {},
): Promise<number> {
  const args = [container, frequency, period, redundancy, lazy, token, amount, wallet, verifier]
  return await createdBy(chain, consumer, { functionName: 'create', args })
}

/** A wallet with ETH in it, of which a consumer may spend; `allowance` absent: all there will ever be. @returns its address. */
export async function fund(
  chain: TestChain,
  {
    spender,
    amount,
    token = zeroAddress,
    allowance = maxUint256,
  }: { spender: Address; amount: bigint; token?: Address; allowance?: bigint },
): Promise<Address> {
  const { deployer } = chain
  const wallet = await createWallet(deployer, chain.walletFactory, deployer.wallet.account.address)
  const hash = await deployer.wallet.sendTransaction({ to: wallet, value: amount })
  await deployer.chain.waitForTransactionReceipt({ hash })
  await transact(
    chain,
    { address: wallet, abi: walletAbi },
    { functionName: 'approve', args: [spender, token, allowance] },
  )
  return wallet
}
