import * as fc from 'fast-check'
import {
  decodeFunctionData,
  encodeAbiParameters,
  type Hex,
  keccak256,
  toFunctionSelector,
  zeroAddress,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readBlocks } from '../../../src/edge/chain/block.ts'
import type { Block, Contracts } from '../../../src/edge/chain/chain.ts'
import { checkChain } from '../../../src/edge/chain/check.ts'
import { parseChains } from '../../../src/edge/chain/config.ts'
import { createRpcPool } from '../../../src/edge/chain/pool.ts'
import { toPages } from '../../../src/edge/chain/read-pages.ts'
import { readStatuses } from '../../../src/edge/chain/read-status.ts'
import { type RpcCall, RpcUnavailable } from '../../../src/edge/chain/rpc.ts'
import { createSigner } from '../../../src/edge/chain/signer.ts'
import { anvilAccount, createDeployer } from '../../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../../src/protocol/abi/eip712-coordinator.ts'
import { readerAbi } from '../../../src/protocol/abi/reader.ts'
import {
  type Asked,
  type Contract,
  createdBy,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
  nodeKey,
  startTestChain,
  type TestChain,
  transact,
} from '../../support/chain.ts'
import {
  type RpcProxy,
  type RpcProxyOptions,
  someFaults,
  startRpcProxy,
  usualFaults,
} from '../../support/rpc-proxy.ts'
import { silentAbout } from './silent-about.ts'

/** Subscriptions of every kind on one chain, read with our Reader and without what it can do. */
let chain: TestChain
let consumer: Contract
let block: Block
/** At which the contracts are there, and no subscription. */
let emptyBlock: number
const ids: Record<string, number> = {}
const proxies: RpcProxy[] = []
const moods = { reverting: 1, burning: 2, babbling: 3 } as const

beforeAll(async () => {
  chain = await startTestChain()
  consumer = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
  emptyBlock = Number(await chain.deployer.chain.getBlockNumber({ cacheTime: 0 }))
  await askEverything()
  block = await newestBlock(await serve())
}, 120_000)
afterAll(async () => {
  for (const proxy of proxies) await proxy.close()
  await chain?.close()
})

const call = (functionName: string, ...args: unknown[]) => transact(chain, consumer, { functionName, args })

async function ask(name: string, asked: Asked = {}): Promise<number> {
  const id = await createSubscription(chain, consumer, asked)
  ids[name] = id
  return id
}

async function askEverything(): Promise<void> {
  await call('give', await ask('callback'), '0x1234')
  await ask('empty')
  for (const [name, mood] of Object.entries(moods)) await call('behave', await ask(name), mood)
  await call('fill', await ask('longest'), 65_440)
  await call('fill', await ask('odd'), 65_409)
  await call('fill', await ask('too long'), 65_441)
  await call('fill', await ask('flood'), 900_000)
  await ask('recurring', { frequency: 5, period: 100, redundancy: 2 })
  await ask('lazy', { lazy: true })
  await ask('over', { frequency: 2, period: 10 })
  await ask('not begun', { frequency: 2, period: 100_000 })
  await call('cancel', await ask('cancelled'))
  const spender = consumer.address
  const wallet = await fund(chain, { spender, amount: 5n, allowance: 3n })
  await ask('paid', { wallet, amount: 2n })
  await ask('paid by nobody', { wallet: '0x00000000000000000000000000000000000000aa', amount: 2n })
  await ask('unpaid', { wallet: await fund(chain, { spender, amount: 0n, allowance: 0n }), amount: 2n })
  for (const [name, file] of [
    ['Token', 'Tokens'],
    ['BlindToken', 'OddTokens'],
    ['StrangeToken', 'StrangeToken'],
  ] as const) {
    const token = await deploy(chain, { name, file })
    const holder = await fund(chain, { spender, token: token.address, amount: 1n, allowance: 9n })
    await transact(chain, token, { functionName: 'mint', args: [holder, 7n] })
    if (name === 'StrangeToken') await transact(chain, token, { functionName: 'setBurnsGas', args: [true] })
    await ask(name, { wallet: holder, amount: 2n, token: token.address })
  }
  const coordinator = { address: chain.coordinator, abi: eip712CoordinatorAbi }
  const plain = ['echo', 1, 0, 1, false, zeroAddress, 0n, zeroAddress, zeroAddress]
  ids['no contract'] = await createdBy(chain, coordinator, {
    functionName: 'createSubscription',
    args: plain,
  })
  await deliver(await ask('answered', { redundancy: 2 }), 1)
  await deliver(await ask('full'), 3)
  await chain.warp(150)
}

/** By the account at this place. */
async function deliver(id: number, place: number): Promise<void> {
  const { wallet, chain: reads } = createDeployer(chain.rpcUrl, anvilAccount(place))
  const hash = await wallet.writeContract({
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    functionName: 'deliverCompute',
    args: [id, 1, '0x', '0x12', '0x', zeroAddress],
  })
  await reads.waitForTransactionReceipt({ hash })
}

/** What reads through a proxy, as `options` have it. */
async function serve(options: RpcProxyOptions & { batchSize?: number } = {}) {
  const proxy = await startRpcProxy(chain.rpcUrl, options)
  proxies.push(proxy)
  let clock = 0
  const sleep = async (ms: number) => {
    clock += ms
  }
  const rpc = createRpcPool({ urls: [proxy.url], chainId: chain.id, now: () => clock, sleep })
  const [settings] = parseChains({
    CHAINS: JSON.stringify([
      { id: chain.id, registry: chain.registry, batch_size: options.batchSize ?? 100 },
    ]),
    [`CHAIN_${chain.id}_RPC_URLS`]: proxy.url,
    [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
  })
  const { config } = settings!
  const checked = await checkChain({ config, rpc })
  if ('problem' in checked) throw new Error(checked.problem)
  proxy.takeRequests()
  const { contracts } = checked
  return { proxy, contracts, chain: { config, rpc, signer: createSigner(nodeKey) } }
}

async function newestBlock({ chain: { rpc } }: Served): Promise<Block> {
  const number = Number(await chain.deployer.chain.getBlockNumber({ cacheTime: 0 }))
  const [newest] = await readBlocks(rpc, [number])
  return newest!
}

type Served = { chain: Parameters<typeof readStatuses>[0]['chain']; contracts: Contracts }
const everyId = () => Array.from({ length: Math.max(...Object.values(ids)) + 2 }, (_, index) => index + 1)
const read = ({ chain, contracts }: Served, wanted = everyId()) =>
  readStatuses({ chain, contracts, ids: wanted, block })
const nothing = { statuses: new Map(), failed: [], unasked: [] }
const words = (length: number): Hex => `0x${'00'.repeat(length)}`

test('default: what is to be known of each kind, in four requests', async () => {
  const served = await serve()
  const { statuses, failed } = await read(served)
  // A page; those that gave nothing, again and alone; whose the wallets are that are empty; the count, since some are not there.
  expect(served.proxy.takeRequests()).toHaveLength(4)
  expect(failed).toEqual([])
  expect([...statuses.keys()].toSorted((a, b) => a - b)).toEqual(Object.values(ids).toSorted((a, b) => a - b))
  const of = (name: string) => statuses.get(ids[name]!)
  expect(of('callback')).toEqual({
    subscription: {
      id: ids.callback,
      owner: consumer.address.toLowerCase(),
      activeAt: expect.any(Number),
      period: 0,
      frequency: 1,
      redundancy: 1,
      containerId: keccak256(encodeAbiParameters([{ type: 'string' }], ['echo'])),
      lazy: false,
      verifier: zeroAddress,
      paymentAmount: 0n,
      paymentToken: zeroAddress,
      wallet: zeroAddress,
      expiresAt: 0,
      maxFee: 0,
      prepaid: false,
      committed: false,
    },
    interval: 1,
    count: 0,
    responded: false,
    wallet: null,
    input: '0x1234',
  })
  const inputs = Object.entries(ids).map(([name, id]) => [name, statuses.get(id)?.input])
  expect(Object.fromEntries(inputs)).toEqual({
    callback: '0x1234',
    empty: '0x',
    reverting: null,
    burning: null,
    babbling: null,
    longest: words(65_440),
    odd: words(65_409),
    'too long': null,
    flood: null,
    recurring: '0x',
    lazy: '0x',
    over: null,
    'not begun': null,
    cancelled: null,
    paid: '0x',
    'paid by nobody': '0x',
    unpaid: '0x',
    Token: '0x',
    BlindToken: '0x',
    StrangeToken: '0x',
    'no contract': null,
    answered: null,
    full: null,
  })
  const intervals = ['recurring', 'over', 'not begun', 'cancelled', 'callback'].map(
    name => of(name)?.interval,
  )
  expect(intervals).toEqual([1, 0, 0, 0, 1])
  expect(of('lazy')?.subscription.lazy).toBe(true)
  expect(of('answered')).toMatchObject({ count: 1, responded: true })
  expect(of('full')).toMatchObject({ count: 1, responded: false })
  const prepayment = 0n
  expect(of('paid')?.wallet).toEqual({ funds: 5n, allowance: 3n, prepayment })
  expect(of('paid by nobody')?.wallet).toBeNull()
  expect(of('unpaid')?.wallet).toEqual({ funds: 0n, allowance: 0n, prepayment })
  expect(of('Token')?.wallet).toEqual({ funds: 7n, allowance: 9n, prepayment })
  expect(of('BlindToken')?.wallet).toEqual({ funds: 0n, allowance: 9n, prepayment })
  expect(of('StrangeToken')?.wallet).toEqual({ funds: 0n, allowance: 9n, prepayment })
})

test('default: the contracts of the first deployments tell the same', async () => {
  const first = await serve({ firstDeployment: true })
  expect(first.contracts.features).toEqual({ status: false, batch: false, bounded: false })
  const ours = await serve()
  expect(await read(first)).toEqual(await read(ours))
})

test('behavior: consumers that burn what gas they are given keep nobody from being read', async () => {
  const burning: number[] = []
  for (let index = 0; index < 20; index += 1) {
    const id = await createSubscription(chain, consumer)
    await call('behave', id, moods.burning)
    burning.push(id)
  }
  const giving = await createSubscription(chain, consumer)
  // Out of storage it takes more gas than the Reader keeps back for it.
  const long = `0x${'77'.repeat(4_096)}`
  await call('give', giving, long)
  const served = await serve()
  const { statuses } = await readStatuses({
    ...served,
    ids: [...burning, giving],
    block: await newestBlock(served),
  })
  expect(statuses.get(giving)?.input).toBe(long)
  expect(burning.map(id => statuses.get(id)?.input)).toEqual(burning.map(() => null))
})

test('behavior: over endpoints that fail now and then, what is read is right, or nothing is', async () => {
  const truth = await read(await serve())
  const faulty = await Promise.all(
    [1, 2].map(seed =>
      startRpcProxy(chain.rpcUrl, { fault: someFaults({ share: 0.2, kinds: usualFaults, seed }) }),
    ),
  )
  proxies.push(...faulty)
  let clock = 0
  const sleep = async (ms: number) => {
    clock += ms
  }
  const urls = faulty.map(({ url }) => url)
  const rpc = createRpcPool({ urls, chainId: chain.id, now: () => clock, sleep, timeoutMs: 100 })
  const served = await serve()
  let right = 0
  for (let round = 0; round < 50; round += 1) {
    clock += 12_000
    const told = await read({ ...served, chain: { ...served.chain, rpc } }).catch((error: unknown) => {
      if (error instanceof RpcUnavailable) return null
      throw error
    })
    if (told === null) continue
    expect(told).toEqual(truth)
    right += 1
  }
  expect(faulty.flatMap(proxy => proxy.takeRequests()).length).toBeGreaterThan(150)
  expect(right).toBeGreaterThan(45)
})

describe('an endpoint that has not got the block', () => {
  const selectors = {
    pages: [...readerAbi].flatMap(item => (item.type === 'function' ? [toFunctionSelector(item)] : [])),
    counts: [toFunctionSelector('redundancyCount(bytes32)')],
  }
  /** Whatever is asked along with one of these is answered of another block. */
  const otherBlock =
    (of: readonly Hex[], number: number): NonNullable<RpcProxyOptions['fault']> =>
    ({ calls }) => {
      const text = JSON.stringify(calls)
      return of.some(selector => text.includes(`"${selector}`)) ? { kind: 'older', block: number } : null
    }
  const lies = [
    { name: 'pages without a contract', of: 'pages', at: () => 0 },
    { name: 'pages of zeros', of: 'pages', at: () => emptyBlock },
    { name: 'counts of zero', of: 'counts', at: () => emptyBlock },
  ] as const
  const kinds = lies.flatMap(lie => [
    { ...lie, firstDeployment: true },
    ...(lie.of === 'pages' ? [{ ...lie, firstDeployment: false }] : []),
  ])

  test.for(kinds)('default: $name: another is asked (first deployment: $firstDeployment)', async kind => {
    const { firstDeployment } = kind
    const served = await serve({ firstDeployment })
    const truth = await read(served, Object.values(ids))
    const liar = await startRpcProxy(chain.rpcUrl, { firstDeployment })
    proxies.push(liar)
    const urls = [liar.url, served.proxy.url]
    const rpc = createRpcPool({ urls, chainId: chain.id, now: () => 0, sleep: async () => undefined })
    liar.setFault(otherBlock(selectors[kind.of], kind.at()))
    const told = await read({ ...served, chain: { ...served.chain, rpc } }, Object.values(ids))
    expect(told).toEqual(truth)
    expect(rpc.status()).toMatchObject([{ problem: 'has nothing at the block' }, { problem: null }])
  })

  test.for([true, false])('behavior: with no other nothing is gone (first deployment: %s)', async first => {
    const served = await serve({ firstDeployment: first })
    const wanted = [ids.callback!, ids.paid!]
    served.proxy.setFault(otherBlock(selectors.pages, emptyBlock))
    expect(await read(served, wanted)).toEqual({ ...nothing, failed: wanted })
    served.proxy.setFault(() => ({ kind: 'older', block: 0 }))
    expect(await read(served, wanted)).toEqual({ ...nothing, failed: wanted })
  })

  test('behavior: what the contracts can do is not learnt from it', async () => {
    let tells = true
    const isPage = ({ params }: RpcCall) => selectors.pages.some(one => JSON.stringify(params).includes(one))
    const { contracts, chain: asked } = await serve({
      override: call => (tells || !isPage(call) ? null : { result: '0x' }),
    })
    tells = false
    await expect(checkChain(asked)).rejects.toThrow(RpcUnavailable)
    tells = true
    expect(await checkChain(asked)).toEqual({ contracts })
  })
})

describe('terms', () => {
  test('default: are told of one that is prepaid, and expires', async () => {
    const wallet = await fund(chain, { spender: consumer.address, amount: 100n })
    const request = {
      containerId: 'echo',
      frequency: 3,
      period: 50,
      redundancy: 2,
      lazy: false,
      paymentToken: zeroAddress,
      paymentAmount: 10n,
      wallet,
      verifier: zeroAddress,
    }
    const terms = { maxFee: 7, prepaid: true, committed: true, refundOnSilence: false }
    const expiresAt = block.time + 10_000
    const id = await createdBy(chain, consumer, {
      functionName: 'open',
      args: [request, { ...terms, expiresAt }],
    })
    const served = await serve()
    const { statuses } = await readStatuses({ ...served, ids: [id], block: await newestBlock(served) })
    expect(statuses.get(id)).toMatchObject({
      subscription: { expiresAt, maxFee: 7, prepaid: true, committed: true },
      wallet: { funds: 40n, prepayment: 60n },
    })
  })
})

const wholeRange = (data: Hex) => {
  const { functionName, args } = decodeFunctionData({ abi: readerAbi, data })
  return functionName === 'readRedundancyCountBatch' ? null : ([args[0], args[1]] as const)
}

/** Pages that hold one of these, or are longer than that, revert. */
function refusing({ poison = [], most = 1_000 }: { poison?: number[]; most?: number }): RpcProxyOptions {
  return {
    override({ method, params }) {
      const [request] = params as [{ to?: Hex; data?: Hex }]
      if (method !== 'eth_call' || request.to?.toLowerCase() !== chain.reader.toLowerCase()) return null
      const range = wholeRange(request.data ?? '0x')
      if (range === null || range[1] === range[0]) return null
      const isRefused = range[1] - range[0] > most || poison.some(id => range[0] <= id && id < range[1])
      return isRefused ? { error: { code: -32_000, message: 'out of gas' } } : null
    },
  }
}

describe('pages that fail', () => {
  test.for([true, false])('default: are halved; what fails alone is named (Reader: %s)', async hasReader => {
    const poison = [ids.callback!, ids.paid!, 1_000]
    const served = await serve({ ...refusing({ poison }), firstDeployment: !hasReader })
    const whole = await read(await serve())
    const { statuses, failed } = await read(served, [...everyId(), 1_000])
    expect(failed).toEqual(poison.toSorted((a, b) => a - b))
    for (const id of poison) whole.statuses.delete(id)
    expect(statuses).toEqual(whole.statuses)
  })

  test('behavior: pages become shorter for a while, and longer again', async () => {
    let most = 3
    const { override } = refusing({ most: 3 })
    const served = await serve({ override: call => (most > 3 ? null : override!(call)), batchSize: 16 })
    const longest = async () => {
      served.proxy.takeRequests()
      await read(served, everyId().slice(0, 16))
      const ranges = served.proxy
        .takeRequests()
        .flatMap(({ calls }) => calls)
        .map(({ params }) => Object(params[0]) as { to: Hex; data: Hex })
        .filter(({ to }) => to.toLowerCase() === chain.reader.toLowerCase())
        .map(({ data }) => wholeRange(data))
      return Math.max(...ranges.map(range => (range ? range[1] - range[0] : 0)))
    }
    expect([await longest(), await longest(), await longest()]).toEqual([16, 8, 4])
    most = 1_000
    expect([await longest(), await longest(), await longest(), await longest()]).toEqual([2, 4, 8, 16])
  })

  test('behavior: too many that are silent to ask each alone: whoever was not asked has not failed', async () => {
    const silent: number[] = []
    for (let count = 0; count < 29; count++) silent.push(await createSubscription(chain, consumer))
    const honest = await createSubscription(chain, consumer)
    for (const firstDeployment of [true, false]) {
      const served = await serve({ firstDeployment })
      served.proxy.setFault(silentAbout(silent, 'inputs', { kind: 'reset' }))
      const wanted = [...silent, honest]
      const read = await readStatuses({ ...served, ids: wanted, block: await newestBlock(served) })
      expect(read.unasked).toContain(honest)
      expect(new Set([...read.statuses.keys(), ...read.failed, ...read.unasked])).toEqual(new Set(wanted))
      expect(read.statuses.size + read.failed.length + read.unasked.length).toBe(wanted.length)
      // With the Reader there is nothing without the input.
      expect(firstDeployment ? read.statuses.size : read.failed.length).toBe(24)
    }
  })

  test('behavior: too many tokens that are silent: a wallet that was not asked is not empty (first deployment)', async () => {
    const token = await deploy(chain, { name: 'Token', file: 'Tokens' })
    const wallet = await fund(chain, { spender: consumer.address, amount: 5n })
    const wanted: number[] = []
    for (let count = 0; count < 30; count++) {
      const payment = count < 29 ? { token: token.address } : {}
      wanted.push(await createSubscription(chain, consumer, { wallet, amount: 2n, ...payment }))
    }
    const served = await serve({
      firstDeployment: true,
      fault: ({ calls }) =>
        calls.some(({ params }) => Object(params[0]).to === token.address) ? { kind: 'reset' } : null,
    })
    const { statuses, unasked } = await readStatuses({
      ...served,
      ids: wanted,
      block: await newestBlock(served),
    })
    expect(unasked).toEqual(wanted.slice(24))
    expect([...statuses.keys()]).toEqual(wanted.slice(0, 24))
  })

  test('behavior: no answer is not taken for a page that fails', async () => {
    for (const firstDeployment of [true, false]) {
      const served = await serve({ firstDeployment })
      served.proxy.setFault(() => ({ kind: 'reset' }))
      await expect(read(served)).rejects.toThrow(RpcUnavailable)
    }
  })
})

test('behavior: nothing is asked for no ids, nor found where nothing is', async () => {
  const served = await serve()
  expect(await read(served, [])).toEqual(nothing)
  expect(served.proxy.takeRequests()).toEqual([])
  expect(await read(served, [5_000, 4_000_000_000])).toEqual(nothing)
  expect(served.chain.signer.address).toBe(nodeAddress)
})

test('default: pages hold every id, begin and end with one, and keep to their size', () => {
  const property = fc.property(
    fc.array(fc.integer({ min: 1, max: 300 })),
    fc.integer({ min: 1, max: 40 }),
    (wanted, size) => {
      const pages = toPages(wanted, size)
      const held = pages.flatMap(({ start, end }) => wanted.filter(id => start <= id && id < end))
      expect(held.length).toBe(wanted.length)
      for (const { start, end } of pages) {
        expect(end - start).toBeLessThanOrEqual(size)
        expect(wanted).toEqual(expect.arrayContaining([start, end - 1]))
      }
    },
  )
  fc.assert(property)
})
