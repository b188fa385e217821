import { sql } from 'drizzle-orm'
import { type Address, parseEther, zeroAddress } from 'viem'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { createDeployer, createWallet } from '../../../../src/local/chain/start.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import {
  type Asked,
  type Contract,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
  startTestChain,
  transact,
} from '../../../support/chain.ts'
import { startTicking, type Ticking } from '../ticking.ts'

/** As the reference has it in its examples: 5.11 %. */
export const protocolFee = 511
export const price = parseEther('1')
export const week = 604_800

export type ProofState = {
  subscription: number
  state: string
  payout: string | null
  settled_by: string | null
  problem: string | null
}

/** A node whose container proves, and a consumer that pays for what a verifier finds proven, on a real chain. */
export type Proving = Ticking & {
  consumer: Contract
  verifier: Contract
  /** Pays for the consumer; the node's, out of which it stakes. */
  payer: Address
  nodeWallet: Address
  node: ChainTick
  /** Asks for an answer with a proof. @returns the subscription's id. */
  prove(asked?: Asked): Promise<number>
  /** A block later, and when what was put off may be tried again. */
  later(times?: number): Promise<void>
  /** The chain's clock put forward, with a look. */
  warp(seconds: number): Promise<void>
  proofs(): Promise<ProofState[]>
  /** Why subscriptions wait. */
  reasons(): Promise<(string | null)[]>
  /** Kind and state of each transaction, by nonce. */
  sent(): Promise<string[]>
  call(contract: Contract, functionName: string, ...args: unknown[]): Promise<void>
  balanceOf(address: Address): Promise<bigint>
  allowance(): Promise<bigint>
  /** Asked, computed and delivered. */
  deliver(asked?: Asked): Promise<number>
}

export type ProvingOptions = {
  kind?: 'AtomicVerifier' | 'OptimisticVerifier'
  firstDeployment?: boolean
  /** What the node's wallet has, and who owns it. */
  stake?: bigint
  owner?: Address
  funds?: bigint
  /** Of the database's file. */
  path?: string
}

export async function startProving({
  kind = 'OptimisticVerifier',
  firstDeployment = false,
  stake = 10n * price,
  owner = nodeAddress,
  funds = 10n * price,
  path,
}: ProvingOptions = {}): Promise<Proving> {
  const chain = await startTestChain({ fee: protocolFee })
  const world = await startTicking({
    chain,
    firstDeployment,
    container: { generates_proofs: true },
    ...(path === undefined ? {} : { path }),
  })
  const { orm } = world.queue.db
  const consumer = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
  const verifier = await deploy(chain, { name: kind, file: 'Verifiers', args: [chain.coordinator] })
  const payer = await fund(chain, { spender: consumer.address, amount: funds })
  const nodeWallet = await createWallet(chain.deployer, chain.walletFactory, owner)
  await chain.anvil.setBalance({ address: nodeWallet, value: stake })
  const node = world.ticker({ paymentAddress: nodeWallet })
  const call: Proving['call'] = async (contract, functionName, ...args) => {
    await transact(chain, contract, { functionName, args })
  }
  const prove: Proving['prove'] = async asked =>
    await createSubscription(chain, consumer, {
      amount: price,
      wallet: payer,
      verifier: verifier.address,
      ...asked,
    })
  const later = async (times = 1) => {
    for (let i = 0; i < times; i++) {
      world.queue.clock.ms += 11 * 60_000
      await world.mine()
      await world.look(node)
    }
  }
  const warp = async (seconds: number) => {
    await chain.warp(seconds)
    await world.look(node)
  }
  return {
    ...world,
    consumer,
    verifier,
    payer,
    nodeWallet,
    node,
    prove,
    later,
    warp,
    proofs: () =>
      orm.all<ProofState>(
        sql`select subscription, state, payout, settled_by, problem from proofs order by subscription, interval`,
      ),
    reasons: async () =>
      (await orm.all<{ reason: string | null }>(sql`select reason from subscriptions order by id`)).map(
        ({ reason }) => reason,
      ),
    sent: async () =>
      (
        await orm.all<{ kind: string; state: string }>(
          sql`select kind, state from transactions order by nonce, created_at`,
        )
      ).map(({ kind, state }) => `${kind} ${state}`),
    call,
    balanceOf: address => chain.deployer.chain.getBalance({ address }),
    allowance: () =>
      chain.deployer.chain.readContract({
        address: nodeWallet,
        abi: walletAbi,
        functionName: 'allowance',
        args: [nodeAddress, zeroAddress],
      }),
    async deliver(asked) {
      const id = await prove(asked)
      await world.look(node)
      // The approval, if there has to be one, and the block after it.
      await later(2)
      await world.compute()
      await later(3)
      return id
    },
    async close() {
      await world.close()
      await chain.close()
    },
  }
}

/** What sends as an account of anvil's. */
export function accountOf(world: Proving, account: Parameters<typeof createDeployer>[1]) {
  return createDeployer(world.chain.rpcUrl, account)
}
