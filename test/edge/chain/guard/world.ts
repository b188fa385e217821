import { type Address, type Hex, parseEther, parseGwei, zeroAddress } from 'viem'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import type { ConsumerInFull } from '../../../../src/protocol/chain.ts'
import {
  type Asked,
  type Contract,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
} from '../../../support/chain.ts'
import { type Changed, startTicking, type Ticking, type TickingOptions } from '../ticking.ts'

export const price = parseEther('0.1')

/** A node before a chain with consumers that pay out of wallets of their own, and may be dishonest. */
export type GuardWorld = Ticking & {
  /** An `AskingConsumer`. */
  consumer: Contract
  /** Of the consumer. */
  payer: Address
  /** Is paid. */
  nodeWallet: Address
  /** Asks once; `paid`: for the price. @returns the id. */
  askFor(asked?: Asked & { paid?: boolean; from?: Contract }): Promise<number>
  /** A consumer more. */
  another(): Promise<Contract>
  /** A node that is paid. */
  node(changed?: Changed): ChainTick
  /** Has whatever waits computed, and what comes of it sent. */
  answer(node: ChainTick): Promise<void>
  /** Ahead of whatever waits to be mined, its owner takes what the consumer's wallet has. */
  withdraw(): Promise<void>
  /** Puts it back. */
  refill(): Promise<void>
  /** What is mined meanwhile is mined in one block, the dearest first. */
  holding<T>(work: () => Promise<T>): Promise<T>
  record(owner?: Address): Promise<ConsumerInFull | null>
  receiptOf(hash: Hex): Promise<{ status: string; gasUsed: bigint; effectiveGasPrice: bigint }>
}

export async function startGuardWorld(options: TickingOptions = {}): Promise<GuardWorld> {
  const world = await startTicking(options)
  const { chain, queue, request } = world
  const { deployer } = chain
  const another = async () => await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
  const consumer = await another()
  const payer = await fund(chain, { spender: consumer.address, amount: price })
  const nodeWallet = await fund(chain, { spender: nodeAddress, amount: 0n })

  return {
    ...world,
    consumer,
    payer,
    nodeWallet,
    another,
    askFor: async ({ paid = false, from = consumer, ...asked } = {}) =>
      await createSubscription(chain, from, {
        ...(paid && { amount: price, wallet: payer, token: zeroAddress }),
        ...asked,
      }),
    node: changed => world.ticker({ paymentAddress: nodeWallet, ...changed }),
    async answer(node) {
      await world.look(node)
      await world.compute()
      await world.look(node)
    },
    async withdraw() {
      const amount = await deployer.chain.getBalance({ address: payer })
      await deployer.wallet.writeContract({
        address: payer,
        abi: walletAbi,
        functionName: 'withdraw',
        args: [zeroAddress, amount],
        gas: 200_000n,
        maxFeePerGas: parseGwei('100'),
        maxPriorityFeePerGas: parseGwei('50'),
      })
    },
    async refill() {
      const hash = await deployer.wallet.sendTransaction({ to: payer, value: price })
      await deployer.chain.waitForTransactionReceipt({ hash })
    },
    async holding(work) {
      await request('evm_setAutomine', false)
      const done = await work()
      await world.mine()
      await request('evm_setAutomine', true)
      return done
    },
    async record(owner = consumer.address) {
      return await readConsumer(queue.db, {
        config: { id: chain.id, guard: openGuard },
        owner: owner.toLowerCase(),
      })
    },
    receiptOf: async hash => await deployer.chain.getTransactionReceipt({ hash }),
  }
}
