import { createTestClient, http, zeroAddress } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { readBlocks } from '../../../src/edge/chain/block.ts'
import type { Block, ChainConfig, Contracts } from '../../../src/edge/chain/chain.ts'
import { checkChain } from '../../../src/edge/chain/check.ts'
import { openGuard } from '../../../src/edge/chain/guard/guard.ts'
import { readHead } from '../../../src/edge/chain/head.ts'
import { createRpcPool } from '../../../src/edge/chain/pool.ts'
import { type Rpc, RpcUnavailable } from '../../../src/edge/chain/rpc.ts'
import { createSubscription, deploy, startTestChain, type TestChain } from '../../support/chain.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'

/** What is read of a real chain's head, and how many requests that takes. */
let chain: TestChain
let proxy: RpcProxy
let rpc: Rpc
let contracts: Contracts

beforeAll(async () => {
  chain = await startTestChain()
  proxy = await startRpcProxy(chain.rpcUrl)
  rpc = poolOf(proxy)
  await rpc.send([{ method: 'eth_chainId', params: [] }])
  contracts = await contractsOf({})
}, 120_000)
afterEach(() => {
  proxy.setFault(undefined)
  proxy.setOverride(undefined)
})
afterAll(async () => {
  await proxy?.close()
  await chain?.close()
})

/** Nobody waits for endpoints that rest: the clock is put forward. */
function poolOf({ url }: RpcProxy): Rpc {
  let clock = 0
  const sleep = async (ms: number) => {
    clock += ms
  }
  return createRpcPool({ urls: [url], chainId: chain.id, now: () => clock, sleep })
}

function configOf(more: Partial<ChainConfig>): ChainConfig {
  return {
    id: chain.id,
    registry: chain.registry,
    confidence: 'latest',
    trailHeadBlocks: 0,
    allowedSimErrors: [],
    gas: {
      maxFeePerGas: 1n,
      minPriorityFeePerGas: 1n,
      maxGasLimit: 1,
      bumpAfterBlocks: 1,
      bumpPercent: 15,
      maxInFlight: 1,
    },
    paymentAddress: zeroAddress,
    guard: openGuard,
    maxOutputBytes: 1,
    stringOutput: 'json',
    startingSubId: 0,
    batchSize: 100,
    reorgDepth: 64,
    maxWaitSeconds: 31_536_000,
    ...more,
  }
}

const check = (more: Partial<ChainConfig>, through = rpc) =>
  checkChain({ config: configOf(more), rpc: through })

async function contractsOf(more: Partial<ChainConfig>): Promise<Contracts> {
  const checked = await check(more)
  if ('problem' in checked) throw new Error(checked.problem)
  return checked.contracts
}

/** The head through a configuration, and the calls of each request that it took. */
async function headOf(more: Partial<ChainConfig>, known: Block | null = null, extra = []) {
  proxy.takeRequests()
  const head = await readHead({ config: configOf(more), rpc }, contracts, known, extra)
  return { head, requests: proxy.takeRequests().length }
}

const mine = (blocks: number) => chain.anvil.mine({ blocks })
const blockAt = async (number: number): Promise<Block> => {
  const [block] = await readBlocks(rpc, [number])
  return block!
}
const newest = async () => Number(await chain.deployer.chain.getBlockNumber({ cacheTime: 0 }))

describe('check', () => {
  test('default: the contracts that the registry names, and what they can do, in two requests', async () => {
    proxy.takeRequests()
    const { registry, coordinator, reader, inbox, walletFactory, fee } = chain
    const addresses = { registry, coordinator, reader, inbox, walletFactory, fee }
    expect(await check({})).toEqual({
      contracts: {
        ...Object.fromEntries(
          Object.entries(addresses).map(([name, address]) => [
            name,
            name === 'registry' ? address : address.toLowerCase(),
          ]),
        ),
        feeRecipient: chain.deployer.wallet.account.address.toLowerCase(),
        features: { status: true, batch: true, bounded: true },
      },
    })
    expect(proxy.takeRequests()).toHaveLength(2)
  })

  test('behavior: the first deployments can do less', async () => {
    const first = await startRpcProxy(chain.rpcUrl, { firstDeployment: true })
    expect(await check({}, poolOf(first))).toMatchObject({
      contracts: { features: { status: false, batch: false, bounded: false } },
    })
    await first.close()
  })

  test('behavior: what is wrong is said', async () => {
    const nobody = '0x00000000000000000000000000000000000000aa'
    expect(await check({ registry: nobody })).toEqual({
      problem: `There is no contract at the registry's address ${nobody}.`,
    })
    expect(await check({ registry: chain.coordinator })).toEqual({
      problem: `The contract at ${chain.coordinator} is no registry: it has no COORDINATOR, READER, INBOX, WALLET_FACTORY.`,
    })
    expect(await check({ id: 5 })).toEqual({ problem: "The chain's id is 31337, not 5." })
  })

  test('behavior: a registry that names what is not there', async () => {
    const consumer = await chain.deployer.wallet.deployContract({
      abi: [
        {
          type: 'constructor',
          inputs: [1, 2, 3, 4, 5].map(n => ({ name: `a${n}`, type: 'address' })),
          stateMutability: 'nonpayable',
        },
      ] as const,
      bytecode: (await import('../../../src/local/contracts/registry.ts')).registryBytecode,
      args: [
        chain.coordinator,
        '0x00000000000000000000000000000000000000aa',
        chain.reader,
        chain.fee,
        zeroAddress,
      ],
    })
    const { contractAddress } = await chain.deployer.chain.waitForTransactionReceipt({ hash: consumer })
    expect(await check({ registry: contractAddress! })).toEqual({
      problem: `The contract at ${contractAddress} is no registry: it has no WALLET_FACTORY.`,
    })
  })

  test('behavior: no answer is no problem of the configuration', async () => {
    proxy.setFault(() => ({ kind: 'reset' }))
    await expect(check({}, poolOf(proxy))).rejects.toThrow(RpcUnavailable)
  })
})

describe('head', () => {
  test('default: the newest block, the next id, and what is where the known one was, in one request', async () => {
    const consumer = await deploy(chain, {
      name: 'EmptyConsumer',
      file: 'Consumers',
      args: [chain.registry],
    })
    const id = await createSubscription(chain, consumer)
    const known = await blockAt((await newest()) - 2)
    const { head, requests } = await headOf({}, known)
    const block = await chain.deployer.chain.getBlock()
    expect(head.latest).toEqual({
      number: Number(block.number),
      hash: block.hash,
      time: Number(block.timestamp),
      baseFee: block.baseFeePerGas,
    })
    expect(head).toMatchObject({ block: head.latest, nextId: id + 1, knownHash: known.hash, extra: [] })
    expect(requests).toBe(1)
  })

  test('behavior: what else is asked comes along', async () => {
    const extra = [{ method: 'eth_chainId', params: [] }] as const
    const head = await readHead({ config: configOf({}), rpc }, contracts, null, extra)
    expect(head).toMatchObject({ knownHash: null, extra: [{ result: '0x7a69' }] })
  })

  test.for(['safe', 'finalized'] as const)('behavior: the block that is %s', async confidence => {
    await mine(100)
    const { head, requests } = await headOf({ confidence })
    const block = await chain.deployer.chain.getBlock({ blockTag: confidence })
    expect(head.block.number).toBe(Number(block.number))
    expect(head.latest.number).toBe(await newest())
    expect(head.block.number).toBeLessThan(head.latest.number)
    expect(requests).toBe(1)
  })

  test('behavior: a trail costs a second request only when more than one block has come', async () => {
    const first = await headOf({ trailHeadBlocks: 3 })
    expect(first.head.block.number).toBe((await newest()) - 3)
    expect(first.requests).toBe(2)
    const same = await headOf({ trailHeadBlocks: 3 }, first.head.block)
    expect(same).toMatchObject({ head: { block: first.head.block }, requests: 1 })
    await mine(1)
    const next = await headOf({ trailHeadBlocks: 3 }, first.head.block)
    expect(next).toMatchObject({
      head: { block: { number: first.head.block.number + 1 }, knownHash: first.head.block.hash },
      requests: 1,
    })
    await mine(5)
    const later = await headOf({ trailHeadBlocks: 3 }, next.head.block)
    expect(later.head.block.number).toBe((await newest()) - 3)
    expect(later.requests).toBe(2)
  })

  test('behavior: a trail that is longer than the chain ends at its first block, before there were contracts', async () => {
    const { head } = await headOf({ trailHeadBlocks: 10_000 })
    expect(head).toMatchObject({ block: { number: 0 }, nextId: 1 })
  })

  test('behavior: a reorganisation shows, also one that shortens the chain', {
    timeout: 60_000,
  }, async () => {
    const anvil = createTestClient({ mode: 'anvil', transport: http(chain.rpcUrl) })
    const snapshot = await anvil.snapshot()
    await mine(5)
    const known = await blockAt(await newest())
    await anvil.revert({ id: snapshot })
    const gone = await readBlocks(rpc, [known.number])
    expect(gone).toEqual([null])
    expect((await headOf({}, known)).head.knownHash).toBeNull()
    const trailed = await headOf({ trailHeadBlocks: 2 }, known)
    expect(trailed.head).toMatchObject({ knownHash: null, block: { number: (await newest()) - 2 } })
    await chain.warp(1_000)
    await mine(5)
    const { knownHash } = (await headOf({}, known)).head
    expect(knownHash).toMatch(/^0x/)
    expect(knownHash).not.toBe(known.hash)
  })

  test('behavior: what is no block is not taken for one', async () => {
    proxy.setOverride(({ method }) => (method === 'eth_getBlockByNumber' ? { result: {} } : null))
    await expect(headOf({})).rejects.toThrow('A block is not told as blocks are.')
    await expect(readBlocks(rpc, [1])).rejects.toThrow(RpcUnavailable)
  })

  test('behavior: a block that is refused is not known', async () => {
    const refusing = await startRpcProxy(chain.rpcUrl, {
      override: ({ method }) =>
        method === 'eth_getBlockByNumber' ? { error: { code: -32_602, message: 'no such tag' } } : null,
    })
    await expect(readBlocks(poolOf(refusing), [1])).rejects.toThrow('refuses eth_getBlockByNumber (-32602)')
    await refusing.close()
  })
})

test('default: blocks in the order of their heights, null where there is none', async () => {
  const head = await newest()
  const blocks = await readBlocks(rpc, [head, 10_000_000, 0])
  expect(blocks.map(block => block?.number ?? null)).toEqual([head, null, 0])
})
