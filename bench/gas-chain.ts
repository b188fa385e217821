import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Abi, type Address, type Hex, parseEther, type TransactionReceipt, toEventSelector } from 'viem'
import { anvilAccount, createDeployer, createWallet, startLocalChain } from '../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../src/protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../src/protocol/abi/wallet.ts'

/** Sends as one account, each call a transaction of its own. */
export type Sender = {
  address: Address
  sign: ReturnType<typeof anvilAccount>['signTypedData']
  send(call: {
    address: Address
    abi: Abi
    functionName: string
    args: unknown[]
  }): Promise<TransactionReceipt>
  create(fixture: Fixture, args: unknown[]): Promise<Address>
}

export type GasChain = Awaited<ReturnType<typeof startGasChain>>

/** Contracts of contracts/test/support. */
type Fixture = { file: string; name: string }

export const noOne = '0x0000000000000000000000000000000000000000'
const artifacts = fileURLToPath(new URL('../contracts/out/', import.meta.url))
const rich = parseEther('1000')
/** Beside the events of the first deployments. */
const richer = [
  'SubscriptionOpened(bytes32,uint32,address)',
  'AnswerAccepted(uint32,uint32,uint16,bytes32)',
].map(event => toEventSelector(event))

export function fixture(file: string, name: string): Fixture & { abi: Abi } {
  const { abi } = readArtifact({ file, name })
  return { file, name, abi }
}

function readArtifact({ file, name }: Fixture): { abi: Abi; bytecode: { object: Hex } } {
  return JSON.parse(readFileSync(`${artifacts}${file}.sol/${name}.json`, 'utf8'))
}

/** A chain with our contracts, a fee of 5 %, and a token. */
export async function startGasChain() {
  const chain = await startLocalChain()
  const owner = createSender(chain.rpcUrl, 2)
  const token = fixture('Tokens', 'Token')
  const tokenAddress = await owner.create(token, [])
  const fee = { abi: eip712CoordinatorAbi as Abi, address: chain.coordinator }

  /** A wallet with ETH and tokens, of which `spender` may spend everything. */
  async function fund(spender: Address): Promise<Address> {
    const deployer = createDeployer(chain.rpcUrl, anvilAccount(2))
    const wallet = await createWallet(deployer, chain.walletFactory, owner.address)
    await deployer.chain.waitForTransactionReceipt({
      hash: await deployer.wallet.sendTransaction({ to: wallet, value: rich }),
    })
    await owner.send({ address: tokenAddress, abi: token.abi, functionName: 'mint', args: [wallet, rich] })
    for (const asset of [noOne, tokenAddress])
      await owner.send({
        address: wallet,
        abi: walletAbi,
        functionName: 'approve',
        args: [spender, asset, rich],
      })
    return wallet
  }

  return {
    ...chain,
    coordinatorAbi: fee.abi,
    token: { address: tokenAddress, abi: token.abi },
    owner,
    node: createSender(chain.rpcUrl, 3),
    otherNode: createSender(chain.rpcUrl, 4),
    fund,
  }
}

function createSender(rpcUrl: string, index: number): Sender {
  const account = anvilAccount(index)
  const { wallet, chain } = createDeployer(rpcUrl, account)
  const settle = async (hash: Hex) => {
    const receipt = await chain.waitForTransactionReceipt({ hash })
    if (receipt.status !== 'success') throw new Error(`Reverted: ${hash}`)
    return receipt
  }
  return {
    address: account.address,
    sign: account.signTypedData,
    send: async call => await settle(await wallet.writeContract(call)),
    async create(named, args) {
      const { abi, bytecode } = readArtifact(named)
      const hash = await wallet.deployContract({ abi, bytecode: bytecode.object, args })
      const { contractAddress } = await settle(hash)
      if (!contractAddress) throw new Error(`${named.name} was not created`)
      return contractAddress
    },
  }
}

/** What the richer events of a transaction cost: 375 for a log and for each topic, 8 for a byte. */
export function gasOfRicherEvents({ logs }: TransactionReceipt): number {
  return logs
    .filter(({ topics: [selector] }) => selector !== undefined && richer.includes(selector))
    .reduce((gas, { topics, data }) => gas + 375 * (1 + topics.length) + 8 * ((data.length - 2) / 2), 0)
}
