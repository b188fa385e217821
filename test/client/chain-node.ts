import type { Address } from 'viem'
import { expect } from 'vitest'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import type { ContainerPolicy } from '../../src/protocol/container.ts'
import { delegationKey } from '../../src/protocol/delegation.ts'
import type { Info } from '../../src/protocol/node.ts'
import { until } from '../flows/until.ts'
import type { TestChain } from '../support/chain.ts'
import { chainVars } from '../support/delegators.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner } from '../support/runner.ts'
import { serve } from './serve.ts'

/** A node that serves a chain: its containers answer with their input. */
export type ChainNode = {
  edge: TestEdge
  url: string
  /** Waits until what was signed under a nonce is on the chain and answered, once. @returns its id, and what it is there. */
  answered(owner: Address, nonce: number): Promise<{ id: number; subscription: object }>
  [Symbol.asyncDispose](): Promise<void>
}

/** `config`: of the chain. */
export async function startChainNode(
  chain: TestChain,
  {
    containers = [policyOf('echo')],
    config = {},
  }: { containers?: ContainerPolicy[]; config?: Record<string, unknown> } = {},
): Promise<ChainNode> {
  const edge = await startTestEdge({ vars: chainVars(chain, { url: chain.rpcUrl, config }) })
  const serving = serve(await startTestRunner(edge, containers))
  const coordinator = { address: chain.coordinator, abi: eip712CoordinatorAbi } as const
  const reads = chain.deployer.chain
  await edge.runSchedule()
  const known = async () => {
    const { chains } = (await (await edge.request('/info')).json()) as Info
    return chains[0]?.coordinator
  }
  await until('the node knows its chain', async () => (await known()) === chain.coordinator.toLowerCase())

  return {
    edge,
    url: edge.url,
    async answered(owner, nonce) {
      const args = [delegationKey(owner, nonce)] as const
      const created = async () =>
        (await reads.readContract({ ...coordinator, functionName: 'delegateCreatedIds', args })) || null
      const id = await until('it is created', created)
      const fulfilled = { eventName: 'SubscriptionFulfilled', args: { id }, fromBlock: 0n } as const
      expect(await reads.getContractEvents({ ...coordinator, ...fulfilled })).toHaveLength(1)
      const subscription = await reads.readContract({
        ...coordinator,
        functionName: 'getSubscription',
        args: [id],
      })
      return { id, subscription }
    },
    async [Symbol.asyncDispose]() {
      await serving[Symbol.asyncDispose]()
      await edge[Symbol.asyncDispose]()
    },
  }
}
