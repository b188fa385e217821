import { toHex } from 'viem'
import type { TestContext } from 'vitest'
import { anvilAccount, anvilKey } from '../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import type { SubscriptionInFull } from '../../src/protocol/chain.ts'
import {
  type Asked,
  type Contract,
  createSubscription,
  deploy,
  startTestChain,
  type TestChain,
  transact,
} from '../support/chain.ts'
import { type Reorganisation, reorganise } from '../support/reorganise.ts'
import { type RpcProxy, type RpcProxyOptions, startRpcProxy } from '../support/rpc-proxy.ts'
import { type System, systemOf } from './system.ts'
import { createTurns } from './turns.ts'

/** A chain whose contracts ask the system, through a node that may go wrong. */
export type Asker = {
  chain: TestChain
  proxy: RpcProxy
  consumer: Contract
  /** Asks for the container `echo`, one at a time. @returns the subscription's id. */
  ask(asked?: Asked): Promise<number>
  /** How often each subscription was answered, on the chain as it is now. */
  answers(): Promise<ReadonlyMap<number, number>>
  /** The node's own transactions do not come again. */
  reorganise(reorganisation: Omit<Reorganisation, 'node'>): Promise<void>
  close(): Promise<void>
}

export type ChainSystem = System & {
  askers: [Asker, ...Asker[]]
  /** For another edge of the same node. */
  vars: Record<string, string>
  subscription(asker: Asker, id: number): Promise<SubscriptionInFull>
}

/** `id`: anvil's own unless given. */
export type ChainOptions = Pick<RpcProxyOptions, 'fault' | 'firstDeployment'> & { id?: number }

export type ChainSystemOptions = Pick<TestContext, 'onTestFinished'> & {
  /** One with our contracts unless given. */
  chains?: readonly [ChainOptions, ...ChainOptions[]]
  /** Of each chain's configuration. */
  config?: Record<string, unknown>
}

/** One node serves both: what befalls its programs befalls both at once. */
export const bothDeployments = [{}, { id: 31_338, firstDeployment: true }] as const

/** Which of anvil's accounts the node answers as. */
const signerPlace = 3

/** Building and deploying is work for the processor. */
const startsAtOnce = createTurns(1)

/** The system, and contracts on a chain that it serves. All of it ends with the test. */
export async function chainSystemOf({
  onTestFinished,
  chains: asked = [{}],
  config = {},
}: ChainSystemOptions): Promise<ChainSystem> {
  const started = await Promise.all(asked.map(options => startsAtOnce(() => startAsker(options))))
  onTestFinished(async () => void (await Promise.all(started.map(({ close }) => close()))))
  const [first, ...others] = started
  if (!first) throw new Error('There is no chain')
  const askers: ChainSystem['askers'] = [first, ...others]
  const chains = askers.map(({ chain }) => ({ id: chain.id, registry: chain.registry, ...config }))
  const vars = Object.fromEntries([
    ['CHAINS', JSON.stringify(chains)],
    ...askers.flatMap(({ chain, proxy }) => [
      [`CHAIN_${chain.id}_RPC_URLS`, proxy.url],
      [`CHAIN_${chain.id}_PRIVATE_KEY`, anvilKey(signerPlace)],
    ]),
  ])
  const system = await systemOf({ slots: 8, vars, onTestFinished })
  return {
    ...system,
    askers,
    vars,
    edge: {
      ...system.edge,
      // What keeps a chain's time is brought back by the cron trigger.
      async start() {
        await system.edge.start()
        await system.edge.runSchedule()
      },
    },
    async subscription({ chain }, id) {
      const response = await fetch(`${system.url}/api/subscriptions/${chain.id}/${id}`)
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      return (await response.json()) as SubscriptionInFull
    },
  }
}

async function startAsker({ id = 31_337, ...proxying }: ChainOptions): Promise<Asker> {
  const chain = await startTestChain({ id })
  const consumer = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
  const proxy = await startRpcProxy(chain.rpcUrl, proxying)
  let turn: Promise<unknown> = Promise.resolve()

  async function askNow(asked: Asked): Promise<number> {
    const next = await nextId(chain)
    const input = toHex(JSON.stringify({ name: nameOf(chain.id, next) }))
    await transact(chain, consumer, { functionName: 'give', args: [next, input] })
    const made = await createSubscription(chain, consumer, asked)
    if (made !== next) throw new Error(`Subscription ${made} was to be ${next}`)
    return made
  }

  return {
    chain,
    proxy,
    consumer,
    ask(asked = {}) {
      const made = turn.then(() => askNow(asked))
      turn = made.catch(() => undefined)
      return made
    },
    async answers() {
      const logs = await chain.deployer.chain.getContractEvents({
        address: chain.coordinator,
        abi: eip712CoordinatorAbi,
        eventName: 'SubscriptionFulfilled',
        fromBlock: 0n,
      })
      const answers = new Map<number, number>()
      for (const { args } of logs) {
        const id = Number(args.id)
        answers.set(id, (answers.get(id) ?? 0) + 1)
      }
      return answers
    },
    reorganise: reorganisation =>
      reorganise(chain, { ...reorganisation, node: anvilAccount(signerPlace).address }),
    async close() {
      await proxy.close()
      await chain.close()
    },
  }
}

/** The id of the subscription that is made next. */
async function nextId({ deployer, coordinator }: TestChain): Promise<number> {
  const { chain } = deployer
  return await chain.readContract({ address: coordinator, abi: eip712CoordinatorAbi, functionName: 'id' })
}

/** What a subscription's calls of the container are counted by. */
export function nameOf(chain: number, id: number): string {
  return `${chain}-${id}`
}
