import { type Address, erc20Abi, parseEther, zeroAddress } from 'viem'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { registryAbi } from '../../../../src/protocol/abi/registry.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import type { LedgerEntry } from '../../../../src/protocol/ledger.ts'
import {
  type Contract,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
  startTestChain,
  type TestChain,
  transact,
} from '../../../support/chain.ts'
import { startTicking, type Ticking, type TickingOptions } from '../ticking.ts'

/** What is paid in. `lossy` takes 1 % off each transfer, `silent` answers nothing. */
export type Coin = 'ether' | 'plain' | 'lossy' | 'silent'
export const coins = ['ether', 'plain', 'lossy', 'silent'] as const

/** A node that is paid, before a chain that takes a fee of 5.11 %, with a consumer whose wallet is full of everything. */
export type Paying = Ticking & {
  node: ChainTick
  consumer: Contract
  /** Of the consumer, and of the node. */
  payer: Address
  nodeWallet: Address
  tokens: Record<Coin, Address>
  /** Asks for an answer, paid in a coin. @returns the subscription's id. */
  askFor(coin: Coin, amount: bigint, options?: { frequency?: number; period?: number }): Promise<number>
  entries(): Promise<LedgerEntry[]>
  /** What the chain says, by coin, of the node's wallet and of who gets the fee; and what the signer has spent, in wei. */
  balances(): Promise<{ payment: Record<Coin, bigint>; protocolFee: Record<Coin, bigint>; gasCost: bigint }>
}

export const feeRecipient: Address = '0x00000000000000000000000000000000000fee00'
export const plenty = parseEther('1000')

export async function startPaying(options: Omit<TickingOptions, 'chain'> = {}): Promise<Paying> {
  const chain = await startTestChain({ fee: 511 })
  try {
    return await startOn(chain, options)
  } catch (error) {
    await chain.close()
    throw error
  }
}

async function startOn(chain: TestChain, options: Omit<TickingOptions, 'chain'>): Promise<Paying> {
  await passFeeOn(chain)
  const world = await startTicking({ ...options, chain })
  const consumer = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
  const payer = await fund(chain, { spender: consumer.address, amount: plenty })
  const nodeWallet = await fund(chain, { spender: nodeAddress, amount: 0n })
  const plain = await deploy(chain, { name: 'Token', file: 'Tokens' })
  const lossy = await deploy(chain, { name: 'StrangeToken' })
  const silent = await deploy(chain, { name: 'StrangeToken' })
  await transact(chain, lossy, { functionName: 'setLost', args: [100n] })
  await transact(chain, silent, { functionName: 'setAnswers', args: [false, true, false] })
  const tokens: Paying['tokens'] = {
    ether: zeroAddress,
    plain: plain.address,
    lossy: lossy.address,
    silent: silent.address,
  }
  for (const token of [plain, lossy, silent]) {
    await transact(chain, token, { functionName: 'mint', args: [payer, plenty] })
    await transact(
      chain,
      { address: payer, abi: walletAbi },
      { functionName: 'approve', args: [consumer.address, token.address, 2n ** 255n] },
    )
  }
  const { chain: client } = chain.deployer
  const balanceOf = async (coin: Coin, address: Address) =>
    coin === 'ether'
      ? await client.getBalance({ address })
      : await client.readContract({
          address: tokens[coin],
          abi: erc20Abi,
          functionName: 'balanceOf',
          args: [address],
        })
  const byCoin = async (address: Address) =>
    Object.fromEntries(
      await Promise.all(coins.map(async coin => [coin, await balanceOf(coin, address)] as const)),
    ) as Record<Coin, bigint>
  const atFirst = await client.getBalance({ address: nodeAddress })
  return {
    ...world,
    node: world.ticker({ paymentAddress: nodeWallet }),
    consumer,
    payer,
    nodeWallet,
    tokens,
    askFor: (coin, amount, asked = {}) =>
      createSubscription(chain, consumer, { amount, wallet: payer, token: tokens[coin], ...asked }),
    async entries() {
      const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
      return (await readLedgerEntries(world.queue.db, { ...question, limit: 10_000 })).map(({ row }) => row)
    },
    async balances() {
      return {
        payment: await byCoin(nodeWallet),
        protocolFee: await byCoin(feeRecipient),
        gasCost: atFirst - (await client.getBalance({ address: nodeAddress })),
      }
    },
    async close() {
      await world.close()
      await chain.close()
    },
  }
}

/** To somebody who owns nothing else. */
async function passFeeOn({ deployer, registry }: TestChain): Promise<void> {
  const fee = await deployer.chain.readContract({ address: registry, abi: registryAbi, functionName: 'FEE' })
  const hash = await deployer.wallet.writeContract({
    address: fee,
    abi: feeAbi,
    functionName: 'transferOwnership',
    args: [feeRecipient],
  })
  await deployer.chain.waitForTransactionReceipt({ hash })
}

/** What the books say, as `balances` says it. */
export function sumsOf(entries: readonly LedgerEntry[], tokens: Paying['tokens']) {
  const sum = (column: 'payment' | 'protocol_fee', token: Address) =>
    entries
      .filter(entry => entry.token === token.toLowerCase())
      .reduce((total, entry) => total + BigInt(entry[column]), 0n)
  const byCoin = (column: 'payment' | 'protocol_fee') =>
    Object.fromEntries(coins.map(coin => [coin, sum(column, tokens[coin])])) as Record<Coin, bigint>
  return {
    payment: byCoin('payment'),
    protocolFee: byCoin('protocol_fee'),
    gasCost: entries.reduce((total, entry) => total + BigInt(entry.gas_cost), 0n),
  }
}
