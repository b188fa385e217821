import { type Address, encodeFunctionData, type Hex, parseEventLogs, toHex } from 'viem'
import { startAnvil } from '../src/local/chain/anvil.ts'
import { deployContracts } from '../src/local/chain/deploy.ts'
import { anvilAccount, anvilKey, createDeployer } from '../src/local/chain/start.ts'
import { callbackAbi, callbackBytecode } from '../src/local/consumers/callback.ts'
import { eip712CoordinatorAbi } from '../src/protocol/abi/eip712-coordinator.ts'
import type { Report } from './report.ts'
import { startBenchStack } from './stack.ts'
import { benchTicks } from './ticks.ts'

/** Seconds between blocks, as chains have them. */
const blockTimes = [0.25, 1, 2, 12]
const atOnce = [1, 50, 500]
const chainId = 31_337
const answerMs = 180_000
/** As some chains have it: by default 100 requests would fill a block, and answers would wait for room. */
const blockGas = 400_000_000

/**
 * From the block of a contract's request to the block of its answer, through the whole system, on anvil with blocks at fixed times: one
 * request at a time, and many in one block. Blocks are counted on the chain, so that no clock of this machine matters.
 */
export async function benchChain(report: Report, { seconds }: { seconds: number }): Promise<void> {
  await benchTicks(report)
  for (const blockTime of blockTimes) await atPace(report, { seconds, blockTime })
}

async function atPace(
  report: Report,
  { seconds, blockTime }: { seconds: number; blockTime: number },
): Promise<void> {
  const anvil = await startAnvil({ blockGas })
  const owner = createDeployer(anvil.rpcUrl, anvilAccount(2))
  const user = createDeployer(anvil.rpcUrl, anvilAccount(4))
  try {
    const { registry, coordinator } = await deployContracts(owner, {
      recipient: owner.wallet.account.address,
      fee: 0,
    })
    const deployed = await user.wallet.deployContract({
      abi: callbackAbi,
      bytecode: callbackBytecode,
      args: [registry],
    })
    const { contractAddress: consumer } = await user.chain.waitForTransactionReceipt({ hash: deployed })
    if (!consumer) throw new Error('The consumer was not deployed')
    await rpc(user, 'evm_setAutomine', [false])
    await mineEvery(user, blockTime)
    const stack = await startBenchStack({
      count: false,
      vars: {
        CHAINS: JSON.stringify([{ id: chainId, registry }]),
        [`CHAIN_${chainId}_RPC_URLS`]: anvil.rpcUrl,
        [`CHAIN_${chainId}_PRIVATE_KEY`]: anvilKey(3),
      },
    })
    const runner = await stack.startRunner()
    try {
      await stack.edge.runSchedule()
      const asking = { user, consumer, coordinator }
      // Brings everything up.
      await answered(asking, 1)
      for (const count of atOnce) {
        const rounds = count === 1 ? Math.max(3, Math.round(seconds / (2 * blockTime))) : 1
        const blocks: number[] = []
        const gas: number[] = []
        const begun = performance.now()
        for (let round = 0; round < rounds; round++) {
          const found = await answered(asking, count)
          blocks.push(...found.blocks)
          gas.push(found.gas / count)
        }
        const name = count === 1 ? `${blockTime}` : `${blockTime}x${count}`
        report(`blocks_to_answer_p50@${name}`, at(blocks, 0.5), 'blocks')
        report(`blocks_to_answer_p99@${name}`, at(blocks, 0.99), 'blocks')
        report(`gas_per_answer@${name}`, at(gas, 0.5), 'gas')
        if (count > 1) report(`answers_per_s@${name}`, (count * 1000) / (performance.now() - begun), '/s')
      }
    } finally {
      await runner.close()
      await stack.close()
    }
  } finally {
    await anvil.close()
  }
}

type User = ReturnType<typeof createDeployer>
type Asking = { user: User; consumer: Address; coordinator: Address }

/** Anvil takes whole seconds by itself; shorter ones are set in milliseconds where it has a way, else mined from here. */
async function mineEvery(user: User, blockTime: number): Promise<void> {
  if (Number.isInteger(blockTime)) return await rpc(user, 'evm_setIntervalMining', [blockTime])
  const timer = setInterval(() => void rpc(user, 'evm_mine', []).catch(() => undefined), blockTime * 1000)
  timer.unref()
}

/** Asks so many times at once, and waits for all answers. `gas`: of all transactions that answered. */
async function answered(
  { user, consumer, coordinator }: Asking,
  count: number,
): Promise<{ blocks: number[]; gas: number }> {
  const from = await user.chain.getBlockNumber({ cacheTime: 0 })
  let nonce = await user.chain.getTransactionCount({
    address: user.wallet.account.address,
    blockTag: 'pending',
  })
  const data = encodeFunctionData({ abi: callbackAbi, functionName: 'ask', args: ['noop', toHex('x')] })
  await Promise.all(
    Array.from({ length: count }, () =>
      user.wallet.sendTransaction({ to: consumer, data, gas: 300_000n, nonce: nonce++ }),
    ),
  )
  const asked = new Map<number, bigint>()
  const answers = new Map<number, { block: bigint; tx: Hex }>()
  const deadline = performance.now() + answerMs
  while (answers.size < count) {
    if (performance.now() > deadline) throw new Error(`${answers.size} of ${count} were answered in time`)
    await new Promise(resolve => setTimeout(resolve, 100))
    const logs = parseEventLogs({
      abi: eip712CoordinatorAbi,
      logs: await user.chain.getLogs({ address: coordinator, fromBlock: from, toBlock: 'latest' }),
    })
    for (const { eventName, args, blockNumber, transactionHash } of logs) {
      // What comes after the newest block may not be asked for.
      if (blockNumber === null || blockNumber <= from || transactionHash === null) continue
      if (eventName === 'SubscriptionCreated') asked.set(args.id, blockNumber)
      if (eventName === 'SubscriptionFulfilled')
        answers.set(args.id, { block: blockNumber, tx: transactionHash })
    }
  }
  const blocks = [...answers].map(([id, { block }]) => Number(block - (asked.get(id) ?? block)))
  const hashes = new Set([...answers.values()].map(({ tx }) => tx))
  const receipts = await Promise.all([...hashes].map(hash => user.chain.getTransactionReceipt({ hash })))
  return { blocks, gas: receipts.reduce((sum, { gasUsed }) => sum + Number(gasUsed), 0) }
}

async function rpc({ chain }: User, method: string, params: unknown[]): Promise<void> {
  await (chain.request as (call: { method: string; params: unknown[] }) => Promise<unknown>)({
    method,
    params,
  })
}

function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
