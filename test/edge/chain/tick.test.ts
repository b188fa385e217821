import { sql } from 'drizzle-orm'
import { toHex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBells } from '../../../src/edge/bell/bell.ts'
import type { ChainConfig } from '../../../src/edge/chain/chain.ts'
import { parseChains } from '../../../src/edge/chain/config.ts'
import { createRpcPool } from '../../../src/edge/chain/pool.ts'
import { createSigner } from '../../../src/edge/chain/signer.ts'
import { type ChainTick, createTick } from '../../../src/edge/chain/tick/tick.ts'
import { createPolicyCache } from '../../../src/edge/runners/policy.ts'
import { register } from '../../../src/edge/runners/register.ts'
import { callbackAbi, callbackBytecode } from '../../../src/local/consumers/callback.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'
import {
  type Contract,
  createdBy,
  nodeAddress,
  nodeKey,
  startTestChain,
  type TestChain,
} from '../../support/chain.ts'
import { type Queue, startQueue } from '../../support/queue.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import { policyOf } from '../../support/runner.ts'

let chain: TestChain
let queue: Queue
let proxy: RpcProxy
let consumer: Contract
let lines: string[]

beforeEach(async () => {
  ;[chain, queue] = await Promise.all([startTestChain(), startQueue()])
  proxy = await startRpcProxy(chain.rpcUrl)
  lines = []
  await register(queue.db, { ...(await queue.host()), version: 'test', containers: [policyOf('echo')] })
  const hash = await chain.deployer.wallet.deployContract({
    abi: callbackAbi,
    bytecode: callbackBytecode,
    args: [chain.registry],
  })
  const { contractAddress } = await chain.deployer.chain.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error('no consumer')
  consumer = { address: contractAddress, abi: callbackAbi as never }
})
afterEach(async () => {
  await proxy?.close()
  await queue?.close()
  await chain?.close()
})

/** A ticker of this node; another one remembers nothing of what the first knows. */
function ticker(changed: Partial<ChainConfig> = {}): ChainTick {
  const [settings] = parseChains({
    CHAINS: JSON.stringify([{ id: chain.id, registry: chain.registry }]),
    [`CHAIN_${chain.id}_RPC_URLS`]: proxy.url,
    [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
  })
  if (!settings) throw new Error('no chain')
  const note = (event: string) => void lines.push(event)
  const now = () => Date.now()
  return createTick({
    db: queue.db,
    bells: createBells(),
    policy: createPolicyCache({ db: queue.db, now }),
    log: { info: note, warn: note, error: note },
    now,
    retentionMs: 1_000_000,
    jobs: {
      bounds: { maxQueuedPerOwner: 1000, maxQueued: 1000, maxBytesPerOwner: 1e9, maxBytes: 1e9 },
      expiryMs: 1_000_000,
    },
    chain: {
      config: { ...settings.config, ...changed },
      rpc: createRpcPool({ urls: settings.urls, chainId: chain.id, now }),
      signer: createSigner(nodeKey),
    },
  })
}

const look = async (node: ChainTick, poked = false) => await node.tick({ poked })

async function ask(): Promise<number> {
  return await createdBy(chain, consumer, { functionName: 'ask', args: ['echo', toHex('x')] })
}

/** What a runner would report of every job that waits. */
async function compute(): Promise<number> {
  const { rowsAffected } = await queue.db.orm.run(sql`
    update jobs set state = 'success', finished_at = 1, result = '{"container":"echo","output":{"said":"x"}}', result_bytes = 41
    where state = 'queued'`)
  return rowsAffected
}

async function fulfilled(): Promise<number[]> {
  const logs = await chain.deployer.chain.getContractEvents({
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    eventName: 'SubscriptionFulfilled',
    fromBlock: 0n,
  })
  return logs.map(({ args }) => Number(args.id))
}

async function states(): Promise<string[]> {
  const rows = await queue.db.orm.all<{ state: string }>(
    sql`select state from deliveries order by subscription, interval`,
  )
  return rows.map(({ state }) => state)
}

/** Of the chain as it is now: the last `depth` blocks are mined anew, without their transactions. */
async function reorganise(depth: number): Promise<void> {
  const request = chain.anvil.request as (call: { method: string; params: unknown[] }) => Promise<unknown>
  await request({ method: 'anvil_reorg', params: [depth, []] })
}

describe('a callback', () => {
  test('default: picked up, computed once, and delivered in the block after', async () => {
    const node = ticker()
    const id = await ask()
    await look(node)
    const [job] = await queue.db.orm.all<{ data: string; owner: string; source: number }>(
      sql`select data, owner, source from jobs`,
    )
    expect(job).toEqual({ data: '"78"', owner: `chain:${chain.id}`, source: 0 })
    await compute()
    await look(node, true)
    expect(await fulfilled()).toEqual([id])
    await look(node)
    expect(await states()).toEqual(['delivered'])
    const { pending, problem, signer } = node.report()
    expect({ pending, problem, signer }).toMatchObject({
      pending: { computed: 0, sending: 0, mined: 1 },
      problem: null,
      signer: { address: nodeAddress, blocked: null },
    })
  })

  test('behavior: many at once go out together', async () => {
    const node = ticker()
    const ids: number[] = []
    for (let i = 0; i < 12; i++) ids.push(await ask())
    await look(node)
    expect(await compute()).toBe(12)
    await look(node, true)
    expect((await fulfilled()).toSorted((a, b) => a - b)).toEqual(ids)
    const [sent] = await queue.db.orm.all<{ n: number }>(sql`select count(*) as n from transactions`)
    expect(sent?.n).toBeLessThan(5)
    await look(node)
    expect(new Set(await states())).toEqual(new Set(['delivered']))
  })

  test('behavior: what no endpoint took is sent again, though no block came meanwhile', async () => {
    const node = ticker()
    const id = await ask()
    await look(node)
    await compute()
    proxy.setFault(({ calls }) =>
      calls.some(({ method }) => method === 'eth_sendRawTransaction')
        ? { kind: 'status', status: 500 }
        : null,
    )
    await look(node, true)
    expect({ fulfilled: await fulfilled(), states: await states() }).toEqual({
      fulfilled: [],
      states: ['sending'],
    })
    proxy.setFault(() => null)
    await look(node)
    expect(await fulfilled()).toEqual([id])
    await look(node)
    expect(await states()).toEqual(['delivered'])
    expect(await queue.db.orm.all(sql`select nonce from transactions`)).toEqual([{ nonce: 0 }])
  })

  test('behavior: what lies deep enough is final, and its call data is forgotten', async () => {
    const node = ticker({ reorgDepth: 5 })
    await ask()
    await look(node)
    await compute()
    await look(node, true)
    await look(node)
    await chain.anvil.mine({ blocks: 6 })
    await look(node)
    expect(await states()).toEqual(['final'])
    expect(await queue.db.orm.all(sql`select hash from raws`)).toEqual([])
  })
})

test('behavior: an idle tick is one request to the chain, and none to the database', async () => {
  const node = ticker()
  await ask()
  await look(node)
  await compute()
  await look(node, true)
  await look(node)
  await chain.anvil.mine({ blocks: 1 })
  await look(node)
  proxy.takeRequests()
  queue.proxy.takeStatements()
  for (let i = 0; i < 3; i++) {
    await look(node)
    await chain.anvil.mine({ blocks: 1 })
  }
  expect(proxy.takeRequests()).toHaveLength(3)
  expect(queue.proxy.takeStatements()).toEqual([])
})

describe('reorganisations', () => {
  const kinds = [1, 3, 10].flatMap(depth => [
    { depth, when: 'by the same ticker', anew: false },
    { depth, when: 'by another one, which remembers nothing', anew: true },
  ])
  test.each(kinds)(
    'a delivery that vanishes with $depth blocks is sent again $when',
    async ({ depth, anew }) => {
      await chain.anvil.mine({ blocks: 10 })
      const first = ticker()
      const id = await ask()
      await chain.anvil.mine({ blocks: 10 })
      await look(first)
      await compute()
      await look(first, true)
      await chain.anvil.mine({ blocks: depth - 1 })
      await look(first)
      expect(await fulfilled()).toEqual([id])
      await reorganise(depth)
      const node = anew ? ticker() : first
      await expect
        .poll(
          async () => {
            await look(node)
            return { fulfilled: await fulfilled(), states: await states() }
          },
          { timeout: 20_000 },
        )
        .toEqual({ fulfilled: [id], states: ['delivered'] })
      expect(lines).toContain('Chain reorganised')
      // It was not computed again.
      expect(await queue.db.orm.all(sql`select id from jobs`)).toHaveLength(1)
    },
  )

  test('behavior: a request that vanishes is not answered, and its job is cancelled', async () => {
    await chain.anvil.mine({ blocks: 5 })
    const node = ticker()
    await ask()
    await look(node)
    await reorganise(2)
    await look(node)
    await look(node)
    expect(await fulfilled()).toEqual([])
    const rows = await queue.db.orm.all<{ state: string; reason: string }>(
      sql`select state, reason from subscriptions`,
    )
    expect(rows).toMatchObject([{ state: 'ended', reason: 'vanished' }])
    expect(await queue.db.orm.all(sql`select state from jobs`)).toEqual([{ state: 'cancelled' }])
  })

  test('behavior: on a chain that is trailed, what is mined above the block that is believed may vanish, too', async () => {
    await chain.anvil.mine({ blocks: 5 })
    const node = ticker({ trailHeadBlocks: 3 })
    const id = await ask()
    await chain.anvil.mine({ blocks: 4 })
    await look(node)
    await compute()
    await look(node, true)
    await look(node)
    expect(await fulfilled()).toEqual([id])
    await reorganise(1)
    await expect
      .poll(async () => {
        await look(node)
        return { fulfilled: await fulfilled(), states: await states() }
      })
      .toEqual({ fulfilled: [id], states: ['delivered'] })
  })
})

test('behavior: an endpoint that lags changes nothing', async () => {
  const node = ticker()
  const id = await ask()
  await look(node)
  await compute()
  await look(node, true)
  await chain.anvil.mine({ blocks: 3 })
  await look(node)
  proxy.setFault(() => ({ kind: 'stale', blocks: 2 }))
  for (let i = 0; i < 3; i++) await look(node)
  expect(lines).not.toContain('Chain reorganised')
  proxy.setFault(() => null)
  await look(node)
  expect(await states()).toEqual(['delivered'])
  expect(await fulfilled()).toEqual([id])
})

test('error: what is at the registry’s address is none, and it is looked at again', async () => {
  const node = ticker({ registry: nodeAddress })
  const next = await look(node)
  expect(next - Date.now()).toBeGreaterThan(10_000)
  expect(node.report().problem).toContain('no contract at the registry')
})

test('error: a database of another coordinator’s subscriptions is left alone', async () => {
  await queue.db.orm.run(sql`
    insert into chains (id, coordinator, next_id, head_number, head_hash) values (${chain.id}, '0x12', 7, 0, '')`)
  const node = ticker()
  await ask()
  await look(node)
  expect(node.report().problem).toContain('another coordinator')
  expect(await states()).toEqual([])
})
