import { sql } from 'drizzle-orm'
import { encodeFunctionData, type Hex, toHex, zeroAddress } from 'viem'
import { createBells } from '../src/edge/bell/bell.ts'
import { parseChains } from '../src/edge/chain/config.ts'
import { createRpcPool } from '../src/edge/chain/pool.ts'
import { createSigner } from '../src/edge/chain/signer.ts'
import { type ChainTick, createTick } from '../src/edge/chain/tick/tick.ts'
import { createPolicyCache } from '../src/edge/runners/policy.ts'
import { register } from '../src/edge/runners/register.ts'
import { type Contract, deploy, nodeKey, startTestChain, type TestChain } from '../test/support/chain.ts'
import { type Queue, startQueue } from '../test/support/queue.ts'
import { type RpcProxy, startRpcProxy } from '../test/support/rpc-proxy.ts'
import { policyOf } from '../test/support/runner.ts'
import type { Report } from './report.ts'

const subscriptions = 10_000
/** Due with each block that has any: 1 %. */
const dueAtOnce = 100
/** Seconds between such blocks; the blocks between have nothing due. */
const step = 4
const period = (subscriptions / dueAtOnce) * step
const endedBeside = 100_000
const rounds = 5

type Bench = { chain: TestChain; queue: Queue; proxy: RpcProxy; node: ChainTick }
type Cost = { requests: number; calls: number; statements: number }

/**
 * What ticks ask of a chain's node and of the database, with 10,000 recurring subscriptions of which 1 % are due at a time. `busy`: to begin
 * what is due, to send its answers, and to see them mined, added up. `idle`: one look at a block at which nothing is due. The runner's part is
 * written by SQL.
 */
export async function benchTicks(report: Report): Promise<void> {
  const [chain, queue] = await Promise.all([startTestChain({ blockGas: 1_000_000_000 }), startQueue()])
  const proxy = await startRpcProxy(chain.rpcUrl)
  try {
    await register(queue.db, { ...(await queue.host()), version: 'bench', containers: [policyOf('echo')] })
    const consumer = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
    await request(chain, 'evm_setAutomine', [false])
    await askAll(chain, consumer)
    const bench = { chain, queue, proxy, node: nodeOf({ chain, queue, proxy }) }
    await pickUp(bench)
    await measure(report, { bench, name: `${subscriptions}` })
    await insertEnded(queue, chain.id)
    await measure(report, { bench, name: `${subscriptions}+${endedBeside}` })
  } finally {
    await proxy.close()
    await Promise.all([queue.close(), chain.close()])
  }
}

async function measure(report: Report, { bench, name }: { bench: Bench; name: string }): Promise<void> {
  const { chain, node, queue } = bench
  const busy: Cost = { requests: 0, calls: 0, statements: 0 }
  const idle: Cost = { requests: 0, calls: 0, statements: 0 }
  const begun = await count(queue, sql`deliveries`)
  for (let round = 0; round < rounds; round++) {
    await mineAfter(chain, 1)
    add(busy, await costOf(bench, () => node.tick({ poked: false })))
    await compute(queue)
    add(busy, await costOf(bench, () => node.tick({ poked: true })))
    await mineAfter(chain, 1)
    add(busy, await costOf(bench, () => node.tick({ poked: false })))
    await mineAfter(chain, 1)
    add(idle, await costOf(bench, () => node.tick({ poked: false })))
    await mineAfter(chain, step - 3)
    await node.tick({ poked: false })
  }
  const answers = (await count(queue, sql`deliveries`)) - begun
  const open = await count(queue, sql`deliveries where state not in ('delivered', 'final')`)
  if (answers !== rounds * dueAtOnce || open > 0)
    throw new Error(`${answers} were begun, ${open} of all were not delivered`)
  report(`rpc_per_tick@${name}`, busy.requests / rounds, 'requests')
  report(`rpc_calls_per_tick@${name}`, busy.calls / rounds, 'calls')
  report(`sql_per_tick@${name}`, busy.statements / rounds, 'statements')
  report(`rpc_per_idle_tick@${name}`, idle.requests / rounds, 'requests')
  report(`sql_per_idle_tick@${name}`, idle.statements / rounds, 'statements')
}

function add(sum: Cost, cost: Cost): void {
  sum.requests += cost.requests
  sum.calls += cost.calls
  sum.statements += cost.statements
}

async function costOf({ proxy, queue }: Bench, work: () => Promise<unknown>): Promise<Cost> {
  proxy.takeRequests()
  queue.proxy.takeStatements()
  await work()
  const requests = proxy.takeRequests()
  return {
    requests: requests.length,
    calls: requests.reduce((sum, { calls }) => sum + calls.length, 0),
    statements: queue.proxy.takeStatements().length,
  }
}

/** In blocks `step` seconds apart, so that as many are due with each. By anvil's own account: nothing is signed here. */
async function askAll(chain: TestChain, { address, abi }: Contract): Promise<void> {
  const from = chain.deployer.wallet.account.address
  const args = ['echo', 2 ** 31, period, 1, false, zeroAddress, 0n, zeroAddress, zeroAddress]
  const data = encodeFunctionData({ abi, functionName: 'create', args })
  let nonce = await chain.deployer.chain.getTransactionCount({ address: from })
  for (let made = 0; made < subscriptions; made += dueAtOnce) {
    await Promise.all(
      Array.from({ length: dueAtOnce }, () =>
        request(chain, 'eth_sendTransaction', [
          { from, to: address, data, gas: toHex(300_000), nonce: toHex(nonce++) },
        ]),
      ),
    )
    await mineAfter(chain, step)
  }
}

/** Until all are known, and a block at which some are due is next. */
async function pickUp({ chain, node, queue }: Bench): Promise<void> {
  while ((await count(queue, sql`subscriptions where state = 'active'`)) < subscriptions)
    await node.tick({ poked: true })
  await node.tick({ poked: false })
  const [due] = await queue.db.orm.all<{ at: number }>(sql`select min(due_at) as at from subscriptions`)
  const { timestamp } = await chain.deployer.chain.getBlock()
  if (!due) throw new Error('Nothing is due')
  await mineAfter(chain, due.at - 1 - Number(timestamp))
  await node.tick({ poked: false })
}

async function insertEnded({ db }: Queue, chain: number): Promise<void> {
  await db.orm.run(sql`
    insert into subscriptions (chain, id, state, next_interval, epoch, reason, seen_block, seen_hash, created_at, owner, active_at, period,
      frequency, redundancy, container_id, lazy, verifier, payment_amount, payment_token, wallet)
    with recursive ids (id) as (select 1000001 union all select id + 1 from ids where id < ${1_000_000 + endedBeside})
    select ${chain}, id, 'ended', 2, 0, 'begun', 1, '0x01', ${db.now}, '0x', 1, 0, 1, 1, '0x', 0, '0x', '0', '0x', '0x' from ids`)
}

/** What a runner would report of every job that waits. */
async function compute({ db }: Queue): Promise<void> {
  await db.orm.run(sql`
    update jobs set state = 'success', finished_at = 1, result = '{"container":"echo","output":{"said":"x"}}', result_bytes = 41
    where state = 'queued'`)
}

async function count({ db }: Queue, from: ReturnType<typeof sql>): Promise<number> {
  const [row] = await db.orm.all<{ n: number }>(sql`select count(*) as n from ${from}`)
  return row?.n ?? 0
}

/** Mines one block, so many seconds after the one before. */
async function mineAfter({ deployer, anvil }: TestChain, seconds: number): Promise<void> {
  const { timestamp } = await deployer.chain.getBlock()
  await anvil.setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) })
  await anvil.mine({ blocks: 1 })
}

async function request({ anvil }: TestChain, method: string, params: unknown[]): Promise<Hex> {
  return await (anvil.request as (call: { method: string; params: unknown[] }) => Promise<Hex>)({
    method,
    params,
  })
}

function nodeOf({ chain, queue, proxy }: Omit<Bench, 'node'>): ChainTick {
  const [settings] = parseChains({
    CHAINS: JSON.stringify([{ id: chain.id, registry: chain.registry }]),
    [`CHAIN_${chain.id}_RPC_URLS`]: proxy.url,
    [`CHAIN_${chain.id}_PRIVATE_KEY`]: nodeKey,
  })
  if (!settings) throw new Error('There is no chain')
  const now = () => Date.now()
  const many = Number.MAX_SAFE_INTEGER
  return createTick({
    db: queue.db,
    bells: createBells(),
    policy: createPolicyCache({ db: queue.db, now }),
    log: { info() {}, warn: console.error, error: console.error },
    now,
    retentionMs: 7 * 24 * 3_600_000,
    ledgerDays: 1_000,
    jobs: {
      bounds: { maxQueuedPerOwner: many, maxQueued: many, maxBytesPerOwner: many, maxBytes: many },
      expiryMs: 24 * 3_600_000,
    },
    chain: {
      config: settings.config,
      rpc: createRpcPool({ urls: settings.urls, chainId: chain.id, now }),
      signer: createSigner(nodeKey),
    },
  })
}
