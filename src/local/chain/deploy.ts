import {
  type Abi,
  type Account,
  type Address,
  type Chain,
  getContractAddress,
  type Hex,
  isAddressEqual,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { eip712CoordinatorAbi } from '../../protocol/abi/eip712-coordinator.ts'
import { feeAbi } from '../../protocol/abi/fee.ts'
import { inboxAbi } from '../../protocol/abi/inbox.ts'
import { readerAbi } from '../../protocol/abi/reader.ts'
import { registryAbi } from '../../protocol/abi/registry.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { eip712CoordinatorBytecode } from '../contracts/eip712-coordinator.ts'
import { feeBytecode } from '../contracts/fee.ts'
import { inboxBytecode } from '../contracts/inbox.ts'
import { readerBytecode } from '../contracts/reader.ts'
import { registryBytecode } from '../contracts/registry.ts'
import { walletFactoryBytecode } from '../contracts/wallet-factory.ts'

export type Deployment = {
  registry: Address
  coordinator: Address
  inbox: Address
  reader: Address
  fee: Address
  walletFactory: Address
}

export type Deployer = {
  wallet: WalletClient<Transport, Chain, Account>
  chain: PublicClient<Transport, Chain>
}

/** `recipient` owns the `Fee`; `fee`: basis points. */
export type DeployOptions = { recipient: Address; fee: number }

type Creation = { abi: Abi; bytecode: Hex; args: readonly unknown[] }

/**
 * Deploys all contracts, as contracts/script/Deploy.s.sol does: six creations one after another, the registry first, so that one account
 * at one nonce always deploys to the same addresses.
 * @throws Error when another transaction of the account came between.
 */
export async function deployContracts(
  deployer: Deployer,
  { recipient, fee }: DeployOptions,
): Promise<Deployment> {
  const { address: from } = deployer.wallet.account
  const nonce = await deployer.chain.getTransactionCount({ address: from })
  const at = (index: number) => getContractAddress({ from, nonce: BigInt(nonce + index) })
  const [registry, coordinator, inbox, reader, feeContract, walletFactory] = [0, 1, 2, 3, 4, 5].map(at) as [
    Address,
    ...Address[],
  ] as [Address, Address, Address, Address, Address, Address]
  const creations: Creation[] = [
    {
      abi: registryAbi,
      bytecode: registryBytecode,
      args: [coordinator, inbox, reader, feeContract, walletFactory],
    },
    { abi: eip712CoordinatorAbi, bytecode: eip712CoordinatorBytecode, args: [registry] },
    { abi: inboxAbi, bytecode: inboxBytecode, args: [registry] },
    { abi: readerAbi, bytecode: readerBytecode, args: [registry] },
    { abi: feeAbi, bytecode: feeBytecode, args: [recipient, fee] },
    { abi: walletFactoryAbi, bytecode: walletFactoryBytecode, args: [registry] },
  ]
  for (const [index, creation] of creations.entries())
    await create(deployer, { ...creation, nonce: nonce + index, expected: at(index) })
  return { registry, coordinator, inbox, reader, fee: feeContract, walletFactory }
}

async function create(
  { wallet, chain }: Deployer,
  { expected, ...creation }: Creation & { nonce: number; expected: Address },
): Promise<void> {
  const hash = await wallet.deployContract(creation)
  const { status, contractAddress } = await chain.waitForTransactionReceipt({ hash })
  if (status !== 'success') throw new Error(`The contract for ${expected} was not created: ${hash}`)
  if (!contractAddress || !isAddressEqual(contractAddress, expected))
    throw new Error(`A contract came to ${contractAddress}, not to ${expected}`)
}

/** @returns the contract's address. */
export async function deploy(
  { wallet, chain }: Deployer,
  abi: Abi | readonly unknown[],
  bytecode: Hex,
  args: readonly unknown[],
): Promise<Address> {
  const hash = await wallet.deployContract({ abi: abi as Abi, bytecode, args })
  const { contractAddress } = await chain.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error(`No contract came out of ${hash}`)
  return contractAddress
}
