import {
  type Address,
  encodeAbiParameters,
  formatEther,
  hexToBigInt,
  parseEther,
  parseEventLogs,
  zeroAddress,
} from 'viem'
import { eip712CoordinatorAbi } from '../protocol/abi/eip712-coordinator.ts'
import { feeAbi } from '../protocol/abi/fee.ts'
import { walletAbi } from '../protocol/abi/wallet.ts'
import type { Deployer } from './chain/deploy.ts'
import { anvilAccount, createDeployer, createWallet } from './chain/start.ts'
import { factorVerifierAbi, factorVerifierBytecode } from './consumers/factor-verifier.ts'
import { paidWithProofAbi, paidWithProofBytecode } from './consumers/paid-with-proof.ts'
import { type ChainDemoOptions, deploy, untilDelivered } from './demo-chain.ts'

/** The product of two primes; finding the smaller one takes some divisions, checking it one. */
const number = 1_000_003n * 1_000_033n
const price = parseEther('0.01')
const stake = parseEther('1')

/** Who may get something, by the name that is printed. */
type Purses = Record<string, Address>

/**
 * A paid question, answered with a proof: the node stakes the price, a verifier divides, and the money moves in the answer's transaction. Prints
 * who got what, by the chain's balances. Throws when the proof is not accepted, or the sums do not add up.
 */
export async function runProofDemo({ chain, url, steps }: ChainDemoOptions): Promise<void> {
  const user = createDeployer(chain.rpcUrl, anvilAccount(4))
  const { address } = user.wallet.account
  const wallet = await createWallet(user, chain.walletFactory, address)
  const verifier = await deploy(user, factorVerifierAbi, factorVerifierBytecode, [chain.registry])
  const args = [chain.registry, address, wallet, verifier]
  const consumer = await deploy(user, paidWithProofAbi, paidWithProofBytecode, args)
  await send(user, { to: wallet, value: 2n * price })
  await send(user, { to: chain.nodeWallet, value: stake })
  const approval = { address: wallet, abi: walletAbi, functionName: 'approve' } as const
  await mined(user, await user.wallet.writeContract({ ...approval, args: [consumer, zeroAddress, price] }))

  const recipient = await user.chain.readContract({
    address: chain.fee,
    abi: feeAbi,
    functionName: 'FEE_RECIPIENT',
  })
  const purses = {
    'the consumer’s wallet': wallet,
    'the node’s wallet': chain.nodeWallet,
    'the verifier': verifier,
    'the protocol': recipient,
  }
  const before = await balancesOf(user, purses)
  const { id, delivery } = await steps.run(
    'proof checked',
    async () => {
      const id = await ask(user, consumer)
      const { delivery } = await untilDelivered(`${url}/api/subscriptions/${chain.id}/${id}`, id)
      return { id, delivery }
    },
    ({ id, delivery: { proof, transaction } }) =>
      `PaidWithProof.sol -> factor, subscription ${id}: proof ${proof?.state} by FactorVerifier.sol in ${transaction?.hash} (${transaction?.gas_used} gas)`,
  )
  if (delivery.proof?.state !== 'accepted')
    throw new Error(`The proof is ${delivery.proof?.state ?? 'not there'}`)
  const output = { address: consumer, abi: paidWithProofAbi, functionName: 'outputs' } as const
  const factor = hexToBigInt(await user.chain.readContract({ ...output, args: [id] }))
  steps.note(`${number} is ${factor} times ${number / factor}`)
  if (number % factor !== 0n) throw new Error(`${factor} does not divide ${number}`)
  for (const line of changes(before, await balancesOf(user, purses))) steps.note(line)
  const locked = { address: chain.nodeWallet, abi: walletAbi, functionName: 'lockedBalance' } as const
  if ((await user.chain.readContract({ ...locked, args: [zeroAddress] })) !== 0n)
    throw new Error('The node’s stake did not come back')
}

async function ask(user: Deployer, consumer: Address): Promise<number> {
  const question = encodeAbiParameters([{ type: 'uint256' }], [number])
  const call = { address: consumer, abi: paidWithProofAbi, functionName: 'ask' } as const
  const { logs } = await mined(user, await user.wallet.writeContract({ ...call, args: ['factor', question] }))
  const [created] = parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'SubscriptionCreated', logs })
  if (!created) throw new Error('Nothing was asked')
  return created.args.id
}

async function send(user: Deployer, { to, value }: { to: Address; value: bigint }): Promise<void> {
  await mined(user, await user.wallet.sendTransaction({ to, value }))
}

async function mined({ chain }: Deployer, hash: `0x${string}`) {
  const receipt = await chain.waitForTransactionReceipt({ hash })
  if (receipt.status !== 'success') throw new Error(`${hash} has failed`)
  return receipt
}

async function balancesOf({ chain }: Deployer, purses: Purses): Promise<Map<string, bigint>> {
  const names = Object.keys(purses)
  const balances = await Promise.all(Object.values(purses).map(address => chain.getBalance({ address })))
  return new Map(names.map((name, index) => [name, balances[index] ?? 0n]))
}

/** What each has more, or less. @throws Error when it is not the same in all. */
function changes(before: ReadonlyMap<string, bigint>, after: ReadonlyMap<string, bigint>): string[] {
  const differences = [...after].map(([name, balance]) => ({ name, by: balance - (before.get(name) ?? 0n) }))
  const sum = differences.reduce((total, { by }) => total + by, 0n)
  if (sum !== 0n) throw new Error(`The sums do not add up: ${formatEther(sum)} ETH too much`)
  return differences.map(({ name, by }) => `${by < 0n ? '' : '+'}${formatEther(by)} ETH  ${name}`)
}
