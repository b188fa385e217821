import { type Hex, parseEventLogs } from 'viem'
import { blockCall, toBlock } from '../../../../src/edge/chain/block.ts'
import type { Block } from '../../../../src/edge/chain/chain.ts'
import type { SignerReport } from '../../../../src/edge/chain/outbox/deliver.ts'
import { createRpcPool } from '../../../../src/edge/chain/pool.ts'
import type { Rpc } from '../../../../src/edge/chain/rpc.ts'
import type { Step } from '../../../../src/edge/chain/step.ts'
import { startAnvil } from '../../../../src/local/chain/anvil.ts'
import { deployContracts } from '../../../../src/local/chain/deploy.ts'
import { anvilAccount, createDeployer } from '../../../../src/local/chain/start.ts'
import { callbackAbi, callbackBytecode } from '../../../../src/local/consumers/callback.ts'
import { type Gate, mortal } from './mortal.ts'
import { chainId, createOutbox, look, type Outbox, type StepOptions, signer } from './node.ts'

/** The outbox before a real chain that mines when it is told to. */
export type AnvilWorld = {
  outbox: Outbox
  url: string
  rpc: Rpc
  coordinator: Hex
  /** Of whoever is not this node. */
  others: ReturnType<typeof createDeployer>
  /** Asks on the chain, and has an answer each in the database. @returns their ids. */
  ask(
    count?: number,
    options?: { deadline?: number | null; output?: string; requiresProof?: boolean },
  ): Promise<number[]>
  head(): Promise<Block>
  step(block: Block, options?: Partial<StepOptions>): Step
  /** A tick at a block, the newest unless said otherwise; `gate`: where it may die. */
  look(options?: Partial<StepOptions> & { block?: Block; gate?: Gate }): Promise<SignerReport | null>
  mine(blocks?: number): Promise<void>
  request(method: string, ...params: unknown[]): Promise<unknown>
  /** Ids of subscriptions that were answered, once for each answer. */
  answered(): Promise<number[]>
  /** Transactions of the signer that are mined. */
  nonce(): Promise<number>
  close(): Promise<void>
}

/** `features`: of the deployment; ours unless it is said. */
export async function startAnvilWorld({ features }: Pick<StepOptions, 'features'> = {}): Promise<AnvilWorld> {
  const [outbox, anvil] = await Promise.all([createOutbox(), startAnvil()])
  const others = createDeployer(anvil.rpcUrl, anvilAccount(2))
  const deployed = await deployContracts(others, { recipient: anvilAccount(2).address, fee: 0 })
  const coordinator = deployed.coordinator.toLowerCase() as Hex
  const creation = await others.wallet.deployContract({
    abi: callbackAbi,
    bytecode: callbackBytecode,
    args: [deployed.registry],
  })
  const { contractAddress: consumer } = await others.chain.waitForTransactionReceipt({ hash: creation })
  if (!consumer) throw new Error('The consumer was not created')
  const rpc = createRpcPool({ urls: [anvil.rpcUrl], chainId, now: () => Date.now() })
  const request = async (method: string, ...params: unknown[]) => {
    const [answer] = await rpc.send([{ method, params }])
    if (answer?.error) throw new Error(`${method}: ${answer.error.message}`)
    return answer?.result
  }
  await request('evm_setAutomine', false)
  const mine = async (blocks = 1) => {
    for (let block = 0; block < blocks; block++) {
      await request('evm_mine')
      outbox.clock.ms += 12_000
    }
  }
  const head = async () => {
    const [answer] = await rpc.send([blockCall('latest')])
    return toBlock(answer)!
  }
  const step: AnvilWorld['step'] = (block, options = {}) =>
    outbox.step(block, {
      coordinator,
      rpc,
      ...(features && { features }),
      ...options,
      config: { reorgDepth: 64, ...options.config },
    })
  let asked = 0
  return {
    outbox,
    url: anvil.rpcUrl,
    rpc,
    coordinator,
    others,
    mine,
    head,
    request,
    async ask(count = 1, options = {}) {
      const ids = Array.from({ length: count }, (_, index) => asked + index + 1)
      asked += count
      for (const _ of ids)
        await others.wallet.writeContract({
          address: consumer,
          abi: callbackAbi,
          functionName: 'ask',
          args: ['a', '0x01'],
          gas: 500_000n,
        })
      await mine()
      for (const subscription of ids) await outbox.answer({ subscription, ...options })
      return ids
    },
    step,
    async look({ gate, block, ...options } = {}) {
      const at = block ?? (await head())
      if (!gate) return await look(step(at, options))
      return await look(step(at, { ...options, ...mortal({ db: outbox.db, rpc, signer }, gate) }))
    },
    async answered() {
      const logs = await others.chain.getLogs({ address: consumer, fromBlock: 0n })
      return parseEventLogs({ abi: callbackAbi, eventName: 'Answered', logs }).map(
        ({ args }) => args.subscriptionId,
      )
    },
    nonce: () => others.chain.getTransactionCount({ address: signer.address }),
    async close() {
      await anvil.close()
      await outbox.close()
    },
  }
}
