import { parseEther, toHex } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { createAdmin } from '../../../../src/client/admin.ts'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import { readSubscription } from '../../../../src/edge/chain/view/read.ts'
import { deliveryView } from '../../../../src/edge/chain/view/view.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { nodeKey } from '../../../support/chain.ts'
import { adminToken, startTestEdge } from '../../../support/edge.ts'
import { coins, type Paying, startPaying, sumsOf } from './paying.ts'

/** What is booked of answers on a real chain, against its balances. */

let world: Paying
afterEach(async () => await world?.close())

const price = parseEther('0.7')

/** Until every answer is mined, and the node knows. */
async function answered(): Promise<void> {
  await world.look(world.node)
  await world.compute()
  await expect
    .poll(async () => {
      await world.mine()
      await world.look(world.node)
      return await world.states()
    })
    .toSatisfy((states: string[]) => states.every(state => state === 'delivered' || state === 'final'))
}

async function agree(): Promise<void> {
  expect(sumsOf(await world.entries(), world.tokens)).toEqual(await world.balances())
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: an answer in each coin, to the wei', async () => {
    world = await startPaying({ firstDeployment })
    const ids = []
    for (const coin of coins) ids.push(await world.askFor(coin, price))
    await answered()
    const entries = await world.entries()
    expect(entries.map(({ subscription }) => subscription).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      ids,
    )
    expect(new Set(entries.map(({ kind }) => kind))).toEqual(new Set(['answer']))
    const fee = (price * 1_022n) / 10_000n
    const ofCoin = (coin: (typeof coins)[number]) =>
      entries.find(({ token }) => token === world.tokens[coin].toLowerCase())
    for (const coin of ['ether', 'plain', 'silent'] as const)
      expect(ofCoin(coin)).toMatchObject({ payment: String(price - fee), protocol_fee: String(fee) })
    expect(ofCoin('lossy')).toMatchObject({ payment: String(((price - fee) * 99n) / 100n) })
    const { payment, gasCost } = await world.balances()
    expect(sumsOf(entries, world.tokens)).toMatchObject({ payment, gasCost })
  })

  test('behavior: unpaid answers, and those that come in one batch, where there are batches', async () => {
    world = await startPaying({ firstDeployment })
    for (const amount of [0n, price, 2n * price]) await world.askFor('plain', amount)
    await answered()
    const entries = await world.entries()
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(firstDeployment ? 3 : 1)
    expect(entries.map(({ payment }) => payment === '0').filter(Boolean)).toHaveLength(1)
    await agree()
  })

  test('behavior: what is mined and fails costs gas, and is booked to its consumer', async () => {
    world = await startPaying({ firstDeployment })
    await world.askFor('ether', price)
    await world.look(world.node)
    await world.compute()
    // Mined in a block in which the consumer has taken its money away before.
    await world.chain.anvil.setAutomine(false)
    await world.look(world.node)
    const { wallet } = world.chain.deployer

    await wallet.writeContract({
      address: world.payer,
      abi: walletAbi,
      functionName: 'approve',
      args: [world.consumer.address, world.tokens.ether, 0n],
      maxPriorityFeePerGas: parseEther('0.00001'),
      maxFeePerGas: parseEther('0.0001'),
      gas: 100_000n,
    })
    await world.mine()
    await world.chain.anvil.setAutomine(true)
    await world.look(world.node)
    expect(await world.entries()).toMatchObject([
      { kind: 'failed', payment: '0', protocol_fee: '0', consumer: world.consumer.address.toLowerCase() },
    ])
    await agree()
  })

  test('behavior: of a rollup, what it takes for the chain below it is told with what a transaction cost, and with what was wasted', async () => {
    world = await startPaying({ firstDeployment })
    const { chain } = world
    const failing = await world.askFor('ether', price)
    const paying = await world.askFor('plain', price)
    await world.look(world.node)
    await world.compute()
    await chain.anvil.setAutomine(false)
    await world.look(world.node)
    await chain.deployer.wallet.writeContract({
      address: world.payer,
      abi: walletAbi,
      functionName: 'approve',
      args: [world.consumer.address, world.tokens.ether, 0n],
      maxPriorityFeePerGas: parseEther('0.00001'),
      maxFeePerGas: parseEther('0.0001'),
      gas: 100_000n,
    })
    await world.mine()
    await chain.anvil.setAutomine(true)
    const l1Fee = 1_234_567_890_123_456_789n
    const { transactions } = await chain.deployer.chain.getBlock()
    const receipts = new Map<unknown, object>()
    for (const hash of transactions)
      receipts.set(hash, (await world.request('eth_getTransactionReceipt', hash)) as object)
    world.proxy.setOverride(({ method, params: [hash] }) => {
      const receipt = method === 'eth_getTransactionReceipt' ? receipts.get(hash) : undefined
      return receipt === undefined ? null : { result: { ...receipt, l1Fee: toHex(l1Fee) } }
    })
    await world.look(world.node)
    const entries = await world.entries()
    expect(new Map(entries.map(({ subscription, kind }) => [subscription, kind]))).toEqual(
      new Map([
        [failing, 'failed'],
        [paying, 'answer'],
      ]),
    )
    const sent = firstDeployment ? 2n : 1n
    const { gasCost } = await world.balances()
    const total = (some: typeof entries) => some.reduce((sum, { gas_cost }) => sum + BigInt(gas_cost), 0n)
    expect(total(entries)).toBe(gasCost + sent * l1Fee)
    const { db } = world.queue
    const read = await readSubscription(db, { chain: chain.id, id: paying, limit: 1 })
    const [transaction] = (read?.deliveries ?? []).map(row => deliveryView(row).transaction)
    const ofIt = entries.filter(({ hash }) => hash === transaction?.hash)
    expect(ofIt).toHaveLength(firstDeployment ? 1 : 2)
    expect(transaction?.cost).toBe(String(total(ofIt)))
    const owner = world.consumer.address.toLowerCase()
    const record = await readConsumer(db, { config: { id: chain.id, guard: openGuard }, owner })
    const wasted = entries.find(({ kind }) => kind === 'failed')
    expect(record).toMatchObject({ wasted_gas: wasted?.gas_used, wasted: wasted?.gas_cost })
    expect(BigInt(wasted?.gas_cost ?? 0)).toBeGreaterThan(l1Fee / 4n)
  })

  test('behavior: when a reorganisation undoes an answer its rows go, and come again', async () => {
    world = await startPaying({ firstDeployment })
    await world.mine(5)
    await world.askFor('plain', price)
    await answered()
    const [before] = await world.entries()
    await world.mine(2)
    await world.look(world.node)
    await world.reorganise(5, { kept: true })
    await world.look(world.node)
    await answered()
    const entries = await world.entries()
    expect(entries).toHaveLength(1)
    expect(entries[0]?.block).not.toBe(before?.block)
    await agree()
  })

  test('behavior: booked for the day of its block, not for that on which the node looked', async () => {
    world = await startPaying({ firstDeployment })
    await world.askFor('ether', price)
    await world.look(world.node)
    await world.compute()
    await world.look(world.node)
    const { timestamp } = await world.chain.deployer.chain.getBlock()
    // The node was away for two days.
    await world.chain.warp(2 * 86_400)
    await world.look(world.node)
    expect(await world.entries()).toMatchObject([{ at: Number(timestamp) }])
  })
})

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const read: Row[] = []
  for await (const row of rows) read.push(row)
  return read
}

test('behavior: the operator reads at the door what the chain says', async () => {
  world = await startPaying()
  const { chain } = world
  const id = await world.askFor('plain', price)
  await answered()
  await using edge = await startTestEdge({
    databaseUrl: world.queue.url,
    vars: {
      CHAINS: JSON.stringify([{ id: chain.id, registry: chain.registry }]),
      [`CHAIN_${chain.id}_RPC_URLS`]: chain.rpcUrl,
      [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
    },
  })
  const [log] = await chain.deployer.chain.getContractEvents({
    address: chain.coordinator,
    abi: eip712CoordinatorAbi,
    eventName: 'SubscriptionFulfilled',
    fromBlock: 0n,
    strict: true,
  })
  if (!log) throw new Error('Nothing was answered')
  const { timestamp } = await chain.deployer.chain.getBlock({ blockNumber: log.blockNumber })
  const { gasUsed } = await chain.deployer.chain.getTransactionReceipt({ hash: log.transactionHash })
  const day = new Date(Number(timestamp) * 1000).toISOString().slice(0, 10)
  const { payment, protocolFee, gasCost } = await world.balances()
  const place = {
    day,
    consumer: world.consumer.address.toLowerCase(),
    token: world.tokens.plain.toLowerCase(),
  }
  const sums = {
    payment: String(payment.plain),
    slashed: '0',
    protocol_fee: String(protocolFee.plain),
    verifier_fee: '0',
    gas_used: Number(gasUsed),
    gas_cost: String(gasCost),
    owed: '0',
    owing: '0',
  }
  const counts = { answers: 1, rejected: 0, failed: 0 }
  const mined = { at: Number(timestamp), hash: log.transactionHash, block: Number(log.blockNumber) }

  const admin = createAdmin({ url: edge.url, token: adminToken })
  const range = { from: day, to: day }
  expect(await all(admin.ledger(range))).toEqual([{ ...place, ...counts, ...sums }])
  expect(await all(admin.ledgerEntries(range))).toEqual([
    { ...place, ...mined, kind: 'answer', subscription: id, interval: 1, ...sums },
  ])
  const csv = await edge.request(`/api/ledger?from=${day}&to=${day}&format=csv`, {
    headers: { authorization: `Bearer ${adminToken}` },
  })
  const row = Object.entries({ ...place, ...counts, ...sums })
  expect(await csv.text()).toBe(
    [row.map(([column]) => column), row.map(([, value]) => value)]
      .map(line => `${line.join(',')}\r\n`)
      .join(''),
  )
})
