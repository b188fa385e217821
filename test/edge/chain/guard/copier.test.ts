import {
  type Address,
  decodeFunctionData,
  encodeFunctionData,
  type Hex,
  parseGwei,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { anvilAccount, createDeployer } from '../../../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { createdBy, fund, nodeAddress } from '../../../support/chain.ts'
import { type GuardWorld, price, startGuardWorld } from './world.ts'

/** Somebody who reads what waits to be mined, and sends it in his own name for more gas. */

const copierAccount = anvilAccount(8)

let world: GuardWorld
let copier: ReturnType<typeof createDeployer>
let copierWallet: Address
function startEach(options: { firstDeployment: boolean }): void {
  beforeEach(async () => {
    world = await startGuardWorld(options)
    copier = createDeployer(world.chain.rpcUrl, copierAccount)
    copierWallet = await fund(world.chain, { spender: copierAccount.address, amount: 0n })
  })
  afterEach(async () => await world?.close())
}

const balanceOf = async (address: Address) => await world.chain.deployer.chain.getBalance({ address })
const feesBefore = { maxFeePerGas: parseGwei('100'), maxPriorityFeePerGas: parseGwei('50'), gas: 1_000_000n }
const answer = (id: number, nodeWallet: Address) => ({
  subscriptionId: id,
  interval: 1,
  input: '0x' as Hex,
  output: toHex('worth a lot'),
  proof: '0x' as Hex,
  nodeWallet,
})
const noBounds = {
  minPayout: 0n,
  maxStake: 0n,
  paymentToken: zeroAddress,
  verifier: zeroAddress,
  deadline: 0,
  containerId: zeroHash,
}

/** The newest transaction in the pool that has the coordinator as its aim. */
async function pending(): Promise<Hex> {
  const { transactions } = await world.chain.deployer.chain.getBlock({
    blockTag: 'pending',
    includeTransactions: true,
  })
  const seen = transactions.findLast(({ to }) => to?.toLowerCase() === world.chain.coordinator.toLowerCase())
  if (!seen) throw new Error('Nothing waits')
  return seen.input
}

/** The same for the copier's own wallet, ahead of it. */
async function copy(): Promise<Hex> {
  const call = decodeFunctionData({ abi: eip712CoordinatorAbi, data: await pending() })
  const abi = eip712CoordinatorAbi
  const data =
    call.functionName === 'deliverComputeBounded'
      ? encodeFunctionData({
          abi,
          ...call,
          args: [{ ...call.args[0], nodeWallet: copierWallet }, call.args[1]],
        })
      : call.functionName === 'revealCompute'
        ? encodeFunctionData({
            abi,
            ...call,
            args: [{ ...call.args[0], nodeWallet: copierWallet }, call.args[1], call.args[2]],
          })
        : call.functionName === 'deliverCompute'
          ? encodeFunctionData({
              abi,
              ...call,
              args: [call.args[0], call.args[1], call.args[2], call.args[3], call.args[4], copierWallet],
            })
          : null
  if (data === null) throw new Error(`There is nothing to copy in ${call.functionName}`)
  return await copier.wallet.sendTransaction({ to: world.chain.coordinator, data, ...feesBefore })
}

const statusOf = async (hash: Hex) => (await world.receiptOf(hash)).status

describe.for([false, true])(
  'an answer, with bounds where there are any; first deployment: %s',
  firstDeployment => {
    startEach({ firstDeployment })

    test('default: is not protected: the copier is paid, and the node loses one transaction', async () => {
      const node = world.node()
      await world.askFor({ paid: true })
      await world.look(node)
      await world.compute()
      const copied = await world.holding(async () => {
        await world.look(node)
        return await copy()
      })
      expect(await statusOf(copied)).toBe('success')
      expect([await balanceOf(copierWallet), await balanceOf(world.nodeWallet)]).toEqual([price, 0n])
      for (let block = 0; block < 3; block += 1) {
        world.queue.clock.ms += 60_000
        await world.mine()
        await world.look(node)
      }
      expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'IntervalCompleted' }])
      const record = await world.record()
      expect(record).toMatchObject({ paid: 0, reverted: 1 })
      expect(record?.wasted_gas).toBeLessThanOrEqual(30_000)
    })
  },
)

// The first deployments take no commitments.
describe('a committed request', () => {
  startEach({ firstDeployment: false })

  const salt = toHex('salt', { size: 32 })
  const open = async () =>
    await createdBy(world.chain, world.consumer, {
      functionName: 'open',
      args: [
        {
          containerId: 'echo',
          frequency: 1,
          period: 0,
          redundancy: 1,
          lazy: false,
          paymentToken: zeroAddress,
          paymentAmount: price,
          wallet: world.payer,
          verifier: zeroAddress,
        },
        { expiresAt: 0, maxFee: 0, prepaid: false, committed: true, refundOnSilence: false },
      ],
    })
  const send = async (call: {
    functionName: 'commitCompute' | 'revealCompute'
    args: readonly unknown[]
  }) => {
    const { wallet } = world.chain.deployer
    return await wallet.writeContract({
      address: world.chain.coordinator,
      abi: eip712CoordinatorAbi,
      ...call,
      gas: 1_000_000n,
    } as never)
  }

  test('default: a copy of what is revealed is worth nothing to whoever has not committed to it', async () => {
    const id = await open()
    const mine = answer(id, world.nodeWallet)
    const commitment = await world.chain.deployer.chain.readContract({
      address: world.chain.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'commitmentOf',
      args: [mine, world.chain.deployer.wallet.account.address, salt],
    })
    await send({ functionName: 'commitCompute', args: [commitment] })
    await world.mine()
    const [revealed, copied] = await world.holding(async () => {
      const hash = await send({ functionName: 'revealCompute', args: [mine, noBounds, salt] })
      return [hash, await copy()]
    })
    expect(await statusOf(copied)).toBe('reverted')
    expect(await statusOf(revealed)).toBe('success')
    expect([await balanceOf(copierWallet), await balanceOf(world.nodeWallet)]).toEqual([0n, price])
  })

  test('behavior: this node leaves it alone, and says so', async () => {
    const id = await open()
    await world.look(world.node())
    expect(await world.compute()).toBe(0)
    const rows = await world.queue.db.orm.all('select id, state, reason from subscriptions')
    expect(rows).toEqual([{ id, state: 'refused', reason: 'unsupported_commitments' }])
    expect(await world.chain.deployer.chain.getTransactionCount({ address: nodeAddress })).toBe(0)
  })
})
