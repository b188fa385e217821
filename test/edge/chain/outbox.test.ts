import { sql } from 'drizzle-orm'
import { type Hex, parseGwei, toFunctionSelector, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBells } from '../../../src/edge/bell/bell.ts'
import type { ChainConfig, Signer } from '../../../src/edge/chain/chain.ts'
import { parseChains } from '../../../src/edge/chain/config.ts'
import { createRpcPool } from '../../../src/edge/chain/pool.ts'
import { createSigner } from '../../../src/edge/chain/signer.ts'
import { type ChainTick, createTick } from '../../../src/edge/chain/tick/tick.ts'
import { createPolicyCache } from '../../../src/edge/runners/policy.ts'
import { register } from '../../../src/edge/runners/register.ts'
import { callbackAbi, callbackBytecode } from '../../../src/local/consumers/callback.ts'
import { recurringAbi, recurringBytecode } from '../../../src/local/consumers/recurring.ts'
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
import { type Fault, type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'
import { policyOf } from '../../support/runner.ts'

let chain: TestChain
let queue: Queue
let proxy: RpcProxy
let callback: Contract
let lines: { event: string; fields: Record<string, unknown> }[]

beforeEach(async () => {
  ;[chain, queue] = await Promise.all([startTestChain(), startQueue()])
  proxy = await startRpcProxy(chain.rpcUrl)
  lines = []
  await register(queue.db, { ...(await queue.host()), version: 'test', containers: [policyOf('echo')] })
  callback = await deployed(callbackBytecode, callbackAbi, [chain.registry])
})
afterEach(async () => {
  await proxy?.close()
  await queue?.close()
  await chain?.close()
})

async function deployed(bytecode: Hex, abi: unknown, args: unknown[]): Promise<Contract> {
  const hash = await chain.deployer.wallet.deployContract({
    abi: abi as never,
    bytecode,
    args: args as never,
  })
  const { contractAddress } = await chain.deployer.chain.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error('no contract')
  return { address: contractAddress, abi: abi as never }
}

type Changed = { config?: Partial<ChainConfig>; gas?: Partial<ChainConfig['gas']>; signer?: Signer }

/** A ticker of this node; another one remembers nothing of what the first knows. */
function ticker({ config = {}, gas = {}, signer = createSigner(nodeKey) }: Changed = {}): ChainTick {
  const [settings] = parseChains({
    CHAINS: JSON.stringify([{ id: chain.id, registry: chain.registry }]),
    [`CHAIN_${chain.id}_RPC_URLS`]: proxy.url,
    [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
  })
  if (!settings) throw new Error('no chain')
  const note = (event: string, fields: Record<string, unknown> = {}) => void lines.push({ event, fields })
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
      config: { ...settings.config, ...config, gas: { ...settings.config.gas, ...gas } },
      rpc: createRpcPool({ urls: settings.urls, chainId: chain.id, now }),
      signer,
    },
  })
}

async function look(node: ChainTick, times = 1): Promise<void> {
  for (let i = 0; i < times; i++) await node.tick({ poked: true })
}

async function ask(): Promise<number> {
  return await createdBy(chain, callback, { functionName: 'ask', args: ['echo', toHex('x')] })
}

/** Picks up what was asked, and computes it. */
async function computed(node: ChainTick): Promise<void> {
  await look(node)
  await queue.db.orm.run(sql`
    update jobs set state = 'success', finished_at = 1, result = '{"container":"echo","output":{"said":"x"}}', result_bytes = 41
    where state = 'queued'`)
}

async function fulfilled(): Promise<number[]> {
  const logs = await chain.deployer.chain.getContractEvents({
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    eventName: 'SubscriptionFulfilled',
    fromBlock: 0n,
  })
  return logs.map(({ args }) => Number(args.id)).toSorted((a, b) => a - b)
}

const deliveries = async () =>
  await queue.db.orm.all<{ state: string; reason: string | null; tx: string | null; tries: number }>(
    sql`select state, reason, tx, tries from deliveries order by subscription, interval`,
  )
const transactions = async () =>
  await queue.db.orm.all<{
    nonce: number
    state: string
    kind: string
    problem: string | null
    raws: number
  }>(sql`
    select nonce, state, kind, problem, (select count(*) from raws where tx = t.id) as raws from transactions t order by nonce, created_at`)

async function rpc(method: string, ...params: unknown[]): Promise<unknown> {
  const request = chain.anvil.request as (call: { method: string; params: unknown[] }) => Promise<unknown>
  return await request({ method, params })
}

/** Transactions wait until a block is mined by hand. */
const holdBlocks = async () => await rpc('evm_setAutomine', false)
const mine = async (blocks = 1) => await chain.anvil.mine({ blocks })

const onSend =
  (fault: Fault) =>
  ({ calls }: { calls: { method: string }[] }) =>
    calls.some(({ method }) => method === 'eth_sendRawTransaction') ? fault : null

async function lastHash(): Promise<Hex> {
  const [row] = await queue.db.orm.all<{ hash: Hex }>(
    sql`select hash from raws order by created_at desc, seq desc limit 1`,
  )
  if (!row) throw new Error('nothing was signed')
  return row.hash
}

test('behavior: two tickers without a lease deliver each answer once, and take each nonce once', async () => {
  const nodes = [ticker(), ticker(), ticker()]
  const [first] = nodes as [ChainTick]
  const ids: number[] = []
  for (let i = 0; i < 15; i++) ids.push(await ask())
  await Promise.all(nodes.map(node => look(node)))
  await computed(first)
  for (let round = 0; round < 4; round++) await Promise.all(nodes.map(node => look(node)))
  expect(await fulfilled()).toEqual(ids)
  const sent = await transactions()
  expect(new Set(sent.map(({ nonce }) => nonce)).size).toBe(sent.length)
  expect(sent.every(({ raws }) => raws > 0)).toBe(true)
  expect(new Set((await deliveries()).map(({ state }) => state))).toEqual(new Set(['delivered']))
})

describe('a crash', () => {
  test('behavior: after the insert, before the broadcast: the stored transaction is sent', async () => {
    const id = await ask()
    const first = ticker()
    await computed(first)
    proxy.setFault(onSend({ kind: 'status', status: 502 }))
    await look(first)
    expect(await transactions()).toMatchObject([{ nonce: 0, state: 'signed' }])
    const hash = await lastHash()
    proxy.setFault(() => null)
    const second = ticker()
    await look(second)
    expect(await fulfilled()).toEqual([id])
    await look(second)
    expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined', raws: 1 }])
    expect(await lastHash()).toBe(hash)
  })

  test('behavior: after the broadcast, before it is written down: it is found as mined', async () => {
    const id = await ask()
    const first = ticker()
    await computed(first)
    // The chain has it; the node is not told.
    proxy.setFault(onSend({ kind: 'cut' }))
    await look(first)
    expect(await fulfilled()).toEqual([id])
    proxy.setFault(() => null)
    await mine()
    await look(ticker())
    expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined' }])
    expect(await deliveries()).toMatchObject([{ state: 'delivered' }])
    expect(await fulfilled()).toEqual([id])
  })

  test('behavior: nothing takes a nonce behind one that no endpoint takes', async () => {
    await ask()
    const node = ticker()
    await computed(node)
    proxy.setFault(onSend({ kind: 'status', status: 502 }))
    await look(node)
    await ask()
    await computed(node)
    await look(node)
    expect(await transactions()).toHaveLength(1)
    expect(node.report().signer.blocked).toBeTruthy()
    proxy.setFault(() => null)
    await mine()
    await look(node, 3)
    expect(await fulfilled()).toEqual([1, 2])
  })
})

describe('money', () => {
  test('behavior: without funds nothing takes a nonce; with funds it goes on', async () => {
    await ask()
    const node = ticker()
    await computed(node)
    await chain.anvil.setBalance({ address: nodeAddress, value: 1000n })
    await look(node)
    expect(await transactions()).toEqual([])
    expect(node.report().signer).toMatchObject({
      balance: '1000',
      blocked: expect.stringContaining('insufficient_funds'),
    })
    await chain.anvil.setBalance({ address: nodeAddress, value: 10n ** 18n })
    await look(node, 2)
    expect(await fulfilled()).toEqual([1])
    expect(node.report().signer.blocked).toBeNull()
  })

  test('behavior: above the ceiling nothing is sent; when the market falls it is', async () => {
    await ask()
    const node = ticker({ gas: { maxFeePerGas: parseGwei('20') } })
    await computed(node)
    await rpc('anvil_setNextBlockBaseFeePerGas', toHex(parseGwei('50')))
    await mine()
    await look(node)
    expect(await transactions()).toEqual([])
    expect(node.report().signer.blocked).toContain('market')
    await rpc('anvil_setNextBlockBaseFeePerGas', toHex(parseGwei('1')))
    await mine()
    await look(node)
    expect(await fulfilled()).toEqual([1])
  })

  test('behavior: an answer that needs more gas than a transaction may have takes no nonce', async () => {
    await ask()
    const node = ticker({ gas: { maxGasLimit: 60_000 } })
    await computed(node)
    await look(node)
    expect(await transactions()).toEqual([])
    expect(await deliveries()).toMatchObject([{ state: 'dropped', reason: 'output_too_large' }])
  })
})

describe('a transaction that is not mined', () => {
  test('behavior: is sent again for at least an eighth more, and mined once', async () => {
    await ask()
    const node = ticker()
    await computed(node)
    await holdBlocks()
    await look(node)
    await rpc('anvil_dropTransaction', await lastHash())
    await mine(3)
    await look(node)
    const fees = await queue.db.orm.all<{ max: string; tip: string }>(
      sql`select max_fee as max, priority_fee as tip from raws order by seq`,
    )
    expect(fees).toHaveLength(2)
    const [before, after] = fees as [{ max: string; tip: string }, { max: string; tip: string }]
    expect(BigInt(after.max) * 1000n).toBeGreaterThanOrEqual(BigInt(before.max) * 1125n)
    expect(BigInt(after.tip) * 1000n).toBeGreaterThanOrEqual(BigInt(before.tip) * 1125n)
    await mine()
    await look(node)
    expect(await fulfilled()).toEqual([1])
    expect(await deliveries()).toMatchObject([{ state: 'delivered' }])
  })

  test('behavior: another transaction has taken the nonce: the answer is signed anew', async () => {
    await ask()
    const node = ticker()
    await computed(node)
    await holdBlocks()
    await look(node)
    await rpc('anvil_dropTransaction', await lastHash())
    const foreign = await privateKeyToAccount(nodeKey).signTransaction({
      type: 'eip1559',
      chainId: chain.id,
      nonce: 0,
      to: nodeAddress,
      value: 1n,
      gas: 21_000n,
      maxFeePerGas: parseGwei('30'),
      maxPriorityFeePerGas: parseGwei('1'),
    })
    await rpc('eth_sendRawTransaction', foreign)
    for (let i = 0; i < 4; i++) {
      await mine()
      await look(node)
    }
    expect(await transactions()).toMatchObject([
      { nonce: 0, state: 'displaced' },
      { nonce: 1, state: 'mined' },
    ])
    expect(await fulfilled()).toEqual([1])
    expect(await deliveries()).toMatchObject([{ state: 'delivered' }])
  })

  test('behavior: what would answer nobody any more is replaced by nothing, and its nonce is used up', async () => {
    await ask()
    const node = ticker()
    await computed(node)
    await holdBlocks()
    await look(node)
    await rpc('anvil_dropTransaction', await lastHash())
    await queue.db.orm.run(sql`update deliveries set state = 'dropped', reason = 'vanished'`)
    await mine()
    await look(node)
    expect(await transactions()).toMatchObject([{ nonce: 0, kind: 'cancel', raws: 2 }])
    await mine()
    await look(node)
    expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined', kind: 'cancel' }])
    expect(await fulfilled()).toEqual([])
  })
})

describe('an endpoint that falls behind after it has told its head', () => {
  const deliverCompute = toFunctionSelector('deliverCompute(uint32,uint32,bytes,bytes,bytes,address)')
  /** In what simulates a delivery. */
  const behind = ({ calls }: { calls: { method: string }[] }): Fault | null =>
    JSON.stringify(calls).includes(deliverCompute) ? { kind: 'stale', blocks: 2 } : null

  test('behavior: does not have an answer given up, because it does not know of the question', async () => {
    await ask()
    const node = ticker()
    await computed(node)
    proxy.setFault(behind)
    await look(node)
    expect(await deliveries()).toMatchObject([{ state: 'computed', tries: 0 }])
    proxy.setFault(() => null)
    await look(node)
    expect(await fulfilled()).toEqual([1])
  })

  test('behavior: does not have a question left alone', async () => {
    await ask()
    const node = ticker()
    proxy.setFault(behind)
    await look(node)
    proxy.setFault(() => null)
    await computed(node)
    await look(node)
    expect(await fulfilled()).toEqual([1])
  })
})

test('behavior: a signer that takes its time', async () => {
  const quick = createSigner(nodeKey)
  const slow: Signer = {
    address: quick.address,
    async signTransaction(transaction) {
      await new Promise(resolve => setTimeout(resolve, 200))
      return await quick.signTransaction(transaction)
    },
  }
  const ids: number[] = []
  for (let i = 0; i < 12; i++) ids.push(await ask())
  const nodes = [ticker({ signer: slow }), ticker({ signer: slow })]
  await computed(nodes[0] as ChainTick)
  for (let round = 0; round < 3; round++) await Promise.all(nodes.map(node => look(node)))
  expect(await fulfilled()).toEqual(ids)
})

test('behavior: a deployment without batches is answered one by one', async () => {
  await proxy.close()
  proxy = await startRpcProxy(chain.rpcUrl, { firstDeployment: true })
  const ids = [await ask(), await ask(), await ask()]
  const node = ticker()
  await computed(node)
  await look(node, 2)
  expect(await fulfilled()).toEqual(ids)
  expect(await transactions()).toHaveLength(3)
})

test('behavior: a consumer that refuses the answer is tried three times, and then given up with its reason', async () => {
  // It wants two byte strings, and gets one text.
  const recurring = await deployed(recurringBytecode, recurringAbi, [
    chain.registry,
    chain.deployer.wallet.account.address,
  ])
  await createdBy(chain, recurring, { functionName: 'start', args: ['echo'] })
  await chain.warp(3_600)
  const node = ticker()
  await computed(node)
  for (let i = 0; i < 4; i++) {
    await look(node)
    queue.clock.ms += 60_000
  }
  expect(await deliveries()).toMatchObject([{ state: 'dropped', tries: 2 }])
  expect(await transactions()).toEqual([])
  expect(lines.filter(({ event }) => event === 'Did not send tx')).toHaveLength(3)
})

test('behavior: an answer that comes after its interval is not sent', async () => {
  const recurring = await deployed(recurringBytecode, recurringAbi, [
    chain.registry,
    chain.deployer.wallet.account.address,
  ])
  await createdBy(chain, recurring, { functionName: 'start', args: ['echo'] })
  await chain.warp(3_600)
  const node = ticker()
  await look(node)
  await chain.warp(3_600)
  await queue.db.orm.run(sql`
    update jobs set state = 'success', finished_at = 1, result = '{"container":"echo","output":{"said":"x"}}', result_bytes = 41`)
  await look(node)
  expect((await deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
  expect(await transactions()).toEqual([])
})
