import { sql } from 'drizzle-orm'
import { type Hex, toHex } from 'viem'
import { createBells } from '../../../src/edge/bell/bell.ts'
import type { ChainConfig, Signer } from '../../../src/edge/chain/chain.ts'
import { checkChain } from '../../../src/edge/chain/check.ts'
import { parseChains } from '../../../src/edge/chain/config.ts'
import { createRouteFinder } from '../../../src/edge/chain/containers.ts'
import { createNoteHead, type Door } from '../../../src/edge/chain/delegated/door.ts'
import { watchNodeWallet } from '../../../src/edge/chain/node-wallet.ts'
import { createRpcPool } from '../../../src/edge/chain/pool.ts'
import { createSigner } from '../../../src/edge/chain/signer.ts'
import { type ChainTick, createTick, type TickOptions } from '../../../src/edge/chain/tick/tick.ts'
import { createPolicyCache } from '../../../src/edge/runners/policy.ts'
import { register } from '../../../src/edge/runners/register.ts'
import { callbackAbi, callbackBytecode } from '../../../src/local/consumers/callback.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'
import type { ContainerPolicy } from '../../../src/protocol/container.ts'
import {
  type Contract,
  createdBy,
  nodeAddress,
  nodeKey,
  startTestChain,
  type TestChain,
} from '../../support/chain.ts'
import { type Queue, startQueue } from '../../support/queue.ts'
import { reorganise } from '../../support/reorganise.ts'
import { type RpcProxy, type RpcProxyOptions, startRpcProxy } from '../../support/rpc-proxy.ts'
import { policyOf } from '../../support/runner.ts'
import { type Gate, mortal } from './outbox/mortal.ts'

/** What a container gives, and one that was asked for a proof. */
const plainOf = (said: string) => JSON.stringify({ container: 'echo', output: { said } })
const fiveKeys = { raw_input: '', processed_input: '', raw_output: 'ab', processed_output: '', proof: '0123' }
const proven = JSON.stringify({ container: 'echo', output: fiveKeys })

/** What a ticker is unlike others in. `reorgDepth` and the like: of the configuration. */
export type Changed = Partial<Omit<ChainConfig, 'gas'>> & {
  gas?: Partial<ChainConfig['gas']>
  signer?: Signer
  /** Where it may die. */
  gate?: Gate
  /** Unix milliseconds of its machine. */
  now?: () => number
  /** Endpoints beside the proxy, which is the first. */
  others?: readonly string[]
}

export type DeliveryState = {
  subscription: number
  interval: number
  state: string
  reason: string | null
  tx: string | null
  tries: number
}

/** Tickers of a node over a real database, before a real chain with a consumer, behind a proxy that may go wrong. */
export type Ticking = {
  chain: TestChain
  queue: Queue
  proxy: RpcProxy
  /** Of all tickers. */
  lines: { event: string; fields: Record<string, unknown> }[]
  events(): string[]
  /** A ticker of this node; another one remembers nothing of what the first knows. */
  ticker(changed?: Changed): ChainTick
  /** Where requests come in that were signed. */
  door(changed?: Changed): Promise<Door>
  /** Ticks, told that there is something to do; so many times. */
  look(node: ChainTick, times?: number): Promise<void>
  deploy(contract: { bytecode: Hex; abi: unknown; args: unknown[] }): Promise<Contract>
  /** Asks for the container `echo` once. @returns the subscription's id. */
  ask(): Promise<number>
  /** What a runner would report of every job that waits. `said`: in its output, of what asks for no proof. @returns how many. */
  compute(said?: string): Promise<number>
  /** Subscriptions that were answered on the chain as it is, once for each answer, in order. */
  fulfilled(): Promise<number[]>
  /** Of what is computed or delivered, by subscription and interval. */
  deliveries(): Promise<DeliveryState[]>
  states(): Promise<string[]>
  /** The last blocks are mined anew: without their transactions, or with those that are not the node's. */
  reorganise(depth: number, options?: { kept?: boolean }): Promise<void>
  mine(blocks?: number): Promise<void>
  /** A request to the chain's node. */
  request(method: string, ...params: unknown[]): Promise<unknown>
  close(): Promise<void>
}

/** `container`: what `echo` is like. `chain`: another node's, which stays; absent: one of its own. `path`: of the database's file. `timeoutMs`: what an endpoint has for an answer. */
export type TickingOptions = RpcProxyOptions & {
  container?: Partial<ContainerPolicy>
  chain?: TestChain
  path?: string
  timeoutMs?: number
}

const minedMs = 500

/** Whoever waits for an endpoint that rests finds the time gone at once. */
function createPoolTime(): { now(): number; sleep(ms: number): Promise<void> } {
  let skippedMs = 0
  return {
    now: () => Date.now() + skippedMs,
    async sleep(ms) {
      skippedMs += ms
    },
  }
}

export async function startTicking({
  container = {},
  chain: shared,
  path,
  timeoutMs = 5_000,
  ...proxying
}: TickingOptions = {}): Promise<Ticking> {
  const [chain, queue] = await Promise.all([
    shared ?? startTestChain(),
    startQueue(path === undefined ? {} : { path }),
  ])
  const proxy = await startRpcProxy(chain.rpcUrl, proxying)
  const lines: Ticking['lines'] = []
  const note = (event: string, fields = {}) => void lines.push({ event, fields })
  const { orm } = queue.db
  const now = () => Date.now()
  await register(queue.db, {
    ...(await queue.host()),
    version: 'test',
    containers: [policyOf('echo', container)],
  })

  const deploy: Ticking['deploy'] = async ({ bytecode, abi, args }) => {
    const { wallet, chain: client } = chain.deployer
    const hash = await wallet.deployContract({ abi: abi as never, bytecode, args: args as never })
    const { contractAddress } = await client.waitForTransactionReceipt({ hash })
    if (!contractAddress) throw new Error('The contract was not created')
    return { address: contractAddress, abi: abi as never }
  }
  const callback = await deploy({ bytecode: callbackBytecode, abi: callbackAbi, args: [chain.registry] })
  const ask: Ticking['request'] = async (method, ...params) =>
    await (chain.anvil.request as (call: { method: string; params: unknown[] }) => Promise<unknown>)({
      method,
      params,
    })
  /**
   * A chain's node that mines what it is sent says that it has it a moment before it has mined it. What nobody mines, since its fee is too low, is
   * not waited for.
   */
  async function mined(): Promise<void> {
    const patience = AbortSignal.timeout(minedMs)
    while (!patience.aborted && (await ask('anvil_getAutomine')) === true) {
      const { pending } = (await ask('txpool_status')) as { pending: Hex }
      if (Number(pending) === 0) return
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  }
  const request: Ticking['request'] = async (method, ...params) => {
    const answer = await ask(method, ...params)
    if (method === 'eth_sendRawTransaction') await mined()
    return answer
  }
  const deliveries = async () =>
    await orm.all<DeliveryState>(
      sql`select subscription, interval, state, reason, tx, tries from deliveries order by subscription, interval`,
    )

  function optionsOf({
    signer = createSigner(nodeKey),
    gas = {},
    gate = (_, step) => step(),
    now: clock = now,
    others = [],
    ...config
  }: Changed = {}): TickOptions {
    const [settings] = parseChains({
      CHAINS: JSON.stringify([{ id: chain.id, registry: chain.registry, verifiers: 'any' }]),
      [`CHAIN_${chain.id}_RPC_URLS`]: [proxy.url, ...others].join(','),
      [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
    })
    if (!settings) throw new Error('There is no chain')
    const rpc = createRpcPool({ urls: settings.urls, chainId: chain.id, timeoutMs, ...createPoolTime() })
    const { db, ...reached } = mortal({ db: queue.db, rpc, signer }, gate)
    return {
      db,
      bells: createBells(),
      policy: createPolicyCache({ db: queue.db, now }),
      log: { info: note, warn: note, error: note },
      now: clock,
      retentionMs: 1_000_000,
      ledgerDays: 1_000,
      jobs: {
        bounds: { maxQueuedPerOwner: 1000, maxQueued: 1000, maxBytesPerOwner: 1e9, maxBytes: 1e9 },
        expiryMs: 1_000_000,
      },
      chain: {
        config: { ...settings.config, ...config, gas: { ...settings.config.gas, ...gas } },
        ...reached,
      },
    }
  }

  return {
    chain,
    queue,
    proxy,
    lines,
    events: () => lines.map(({ event }) => event),
    ticker(changed) {
      const node = createTick(optionsOf(changed))
      return { ...node, tick: async options => await node.tick(options).finally(mined) }
    },
    async door(changed) {
      const options = optionsOf(changed)
      const checked = await checkChain(options.chain)
      if ('problem' in checked) throw new Error(checked.problem)
      const { contracts } = checked
      const wallet = watchNodeWallet({ ...options, contracts })
      return {
        ...options,
        contracts,
        wallet,
        routes: createRouteFinder(),
        noteHead: createNoteHead(options.chain),
      }
    },
    async look(node, times = 1) {
      for (let i = 0; i < times; i++) await node.tick({ poked: true })
    },
    deploy,
    ask: () => createdBy(chain, callback, { functionName: 'ask', args: ['echo', toHex('x')] }),
    async compute(said = 'x') {
      const plain = plainOf(said)
      const { rowsAffected } = await orm.run(sql`
        update jobs set state = 'success', finished_at = 1, result = iif(requires_proof = 1, ${proven}, ${plain}),
          result_bytes = length(iif(requires_proof = 1, ${proven}, ${plain}))
        where state = 'queued'`)
      return rowsAffected
    },
    async fulfilled() {
      const logs = await chain.deployer.chain.getContractEvents({
        address: chain.coordinator,
        abi: eip712CoordinatorAbi,
        eventName: 'SubscriptionFulfilled',
        fromBlock: 0n,
      })
      return logs.map(({ args }) => Number(args.id)).toSorted((a, b) => a - b)
    },
    deliveries,
    states: async () => (await deliveries()).map(({ state }) => state),
    reorganise: (depth, { kept = false } = {}) => reorganise(chain, { depth, kept, node: nodeAddress }),
    mine: async (blocks = 1) => await chain.anvil.mine({ blocks }),
    request,
    async close() {
      await proxy.close()
      await queue.close()
      if (!shared) await chain.close()
    },
  }
}
