import {
  type Address,
  encodeEventTopics,
  encodeFunctionData,
  erc20Abi,
  maxUint256,
  parseGwei,
  zeroAddress,
} from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { createWallet } from '../../../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { registryAbi } from '../../../../src/protocol/abi/registry.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { type Contract, deploy, nodeAddress, transact } from '../../../support/chain.ts'
import { type Proving, price, startProving, week } from '../proofs/proving.ts'

/** What is booked of verdicts: what the node's wallet has got and lost is what it has. */

const stake = 10n * price
let world: Proving
afterEach(async () => await world?.close())

async function entries() {
  const question = { chain: world.chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
  return (await readLedgerEntries(world.queue.db, { ...question, limit: 1_000 })).map(({ row }) => row)
}

async function agree(): Promise<void> {
  const booked = await entries()
  const sum = booked.reduce((total, { payment, slashed }) => total + BigInt(payment) - BigInt(slashed), 0n)
  expect(sum).toBe((await world.balanceOf(world.nodeWallet)) - stake)
}
const kinds = async () => (await entries()).map(({ kind }) => kind).toSorted()

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test.for([true, false])('default: with the answer; valid: %s', async valid => {
    world = await startProving({ kind: 'AtomicVerifier', firstDeployment, stake })
    await world.call(world.verifier, 'setVerdict', valid)
    await world.deliver()
    expect(await kinds()).not.toContain('verdict')
    await agree()
  })

  test.for([true, false])('default: later; valid: %s', async valid => {
    world = await startProving({ firstDeployment, stake })
    const id = await world.deliver()
    await agree()
    await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)
    await world.warp(3_600)
    const verdict = (await entries()).find(({ kind }) => kind === 'verdict')
    expect(verdict).toMatchObject({
      subscription: id,
      interval: 1,
      consumer: world.consumer.address.toLowerCase(),
      gas_cost: '0',
      slashed: valid ? '0' : String(price),
    })
    expect(BigInt(verdict?.payment ?? 0n) > 0n).toBe(valid)
    await agree()
  })

  test('default: nobody’s, so that the node finalizes', async () => {
    world = await startProving({ firstDeployment, stake })
    await world.deliver()
    await world.warp(week + 1)
    await world.later(3)
    await world.warp(3_700)
    expect(await kinds()).toEqual(['answer', 'expense', 'expense', 'verdict'])
    await agree()
  })
})

describe.for([false, true])('another wallet is configured by then; first deployment: %s', firstDeployment => {
  test.for([true, false])(
    'behavior: what moves in the one that the answer names is booked; valid: %s',
    async valid => {
      world = await startProving({ firstDeployment, stake })
      const { deployer, walletFactory } = world.chain
      const paymentAddress = await createWallet(deployer, walletFactory, nodeAddress)
      const node = world.ticker({ paymentAddress })
      const id = await world.prove()
      await world.look(world.node)
      await world.later(2)
      await world.compute()
      await world.look(world.node)
      // Mined, and judged, before another eye.
      await world.mine()
      await world.look(node)
      expect(await world.proofs()).toMatchObject([{ state: 'pending' }])
      await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)
      await world.chain.warp(3_600)
      await world.look(node)
      expect(await kinds()).toContain('verdict')
      const sums = (await entries()).map(({ payment, slashed }) => BigInt(payment) - BigInt(slashed))
      expect(sums.filter(sum => sum !== 0n)).toHaveLength(1)
      await agree()
    },
  )

  test('behavior: judged with the answer, likewise', async () => {
    world = await startProving({ kind: 'AtomicVerifier', firstDeployment, stake })
    const { deployer, walletFactory } = world.chain
    const paymentAddress = await createWallet(deployer, walletFactory, nodeAddress)
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    await world.compute()
    await world.look(world.node)
    await world.mine()
    await world.look(world.ticker({ paymentAddress }))
    const [answer] = (await entries()).filter(({ kind }) => kind === 'answer')
    expect(BigInt(answer?.payment ?? 0)).toBeGreaterThan(0n)
    await agree()
  })
})

test('behavior: one that is rejected at once is told from others by its proof, where the coordinator tells it by that alone', async () => {
  world = await startProving({ kind: 'AtomicVerifier', firstDeployment: true, stake })
  await world.call(world.verifier, 'setVerdict', false)
  await world.prove()
  await world.look(world.node)
  await world.later(2)
  await world.compute()
  await world.look(world.node)
  const { transactions } = await world.chain.deployer.chain.getBlock()
  const hash = transactions[0]
  const [rejected] = encodeEventTopics({ abi: eip712CoordinatorAbi, eventName: 'AnswerRejected' })
  const receipt = (await world.request('eth_getTransactionReceipt', hash)) as { logs: { topics: string[] }[] }
  const logs = receipt.logs.filter(({ topics }) => topics[0] !== rejected)
  expect(logs).toHaveLength(receipt.logs.length - 1)
  world.proxy.setOverride(({ method, params }) =>
    method === 'eth_getTransactionReceipt' && params[0] === hash ? { result: { ...receipt, logs } } : null,
  )
  await world.later(3)
  expect((await entries()).find(({ interval }) => interval === 1)).toMatchObject({
    kind: 'rejected',
    payment: '0',
    slashed: String(price),
  })
  await agree()
})

test('behavior: a verdict that is undone is taken back, and booked again when it comes again', async () => {
  world = await startProving({ stake })
  const id = await world.deliver()
  await world.mine(3)
  await world.look(world.node)
  await world.call(world.verifier, 'finalize', id, 1, nodeAddress, true)
  await world.warp(3_600)
  expect(await kinds()).toContain('verdict')
  await world.reorganise(2, { kept: false })
  await world.later()
  expect(await kinds()).not.toContain('verdict')
  await agree()
  await world.call(world.verifier, 'finalize', id, 1, nodeAddress, true)
  await world.warp(7_200)
  expect(await kinds()).toContain('verdict')
  await agree()
})

describe.for([false, true])('a token that blocks a wallet; first deployment: %s', firstDeployment => {
  const amount = 10_000_000n
  let token: Contract

  /** A node and a consumer whose wallets have ten times the price. */
  async function start(kind: 'AtomicVerifier' | 'OptimisticVerifier'): Promise<void> {
    world = await startProving({ kind, firstDeployment, stake })
    token = await deploy(world.chain, { name: 'StrangeToken' })
    for (const to of [world.payer, world.nodeWallet]) await world.call(token, 'mint', to, 10n * amount)
    const args = [world.consumer.address, token.address, maxUint256]
    await transact(world.chain, { address: world.payer, abi: walletAbi }, { functionName: 'approve', args })
  }

  const read = async (address: Address, functionName: 'balanceOf' | 'owed', ...args: unknown[]) =>
    (await world.chain.deployer.chain.readContract({
      address,
      abi: [...erc20Abi, ...walletAbi],
      functionName,
      args: args as never,
    })) as bigint

  async function agreeInToken(): Promise<void> {
    const booked = (await entries()).reduce(
      (total, { payment, slashed, owed, owing }) =>
        total + BigInt(payment) + BigInt(owed) - BigInt(slashed) - BigInt(owing),
      0n,
    )
    const { payer, nodeWallet } = world
    const has = (await read(token.address, 'balanceOf', nodeWallet)) - 10n * amount
    const owed = await read(payer, 'owed', token.address, nodeWallet)
    const owing = await read(nodeWallet, 'owed', token.address, payer)
    expect(booked).toBe(has + owed - owing)
  }

  /** The token lets everybody move again, and somebody has everything sent that is owed. */
  async function claim(): Promise<void> {
    const { payer, nodeWallet } = world
    for (const account of [payer, nodeWallet]) await world.call(token, 'setBlocked', account, false)
    for (const [wallet, to] of [
      [payer, nodeWallet],
      [nodeWallet, payer],
    ] as const) {
      await world.call({ address: wallet, abi: walletAbi }, 'claim', token.address, to)
      expect(await read(wallet, 'owed', token.address, to)).toBe(0n)
    }
  }

  test.for([true, false])(
    'behavior: what a verdict has not moved is owed, and booked as that; valid: %s',
    async valid => {
      await start('OptimisticVerifier')
      const id = await world.deliver({ amount, token: token.address })
      await world.call(token, 'setBlocked', valid ? world.nodeWallet : world.payer, true)
      await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)
      await world.warp(3_600)
      const verdict = (await entries()).find(({ kind }) => kind === 'verdict')
      expect(verdict).toMatchObject({ payment: '0', slashed: '0', [valid ? 'owing' : 'owed']: '0' })
      expect(BigInt(verdict?.[valid ? 'owed' : 'owing'] ?? 0)).toBeGreaterThan(0n)
      await agreeInToken()
      await claim()
      await agreeInToken()
    },
  )

  test('behavior: likewise where it is judged with the answer', async () => {
    await start('AtomicVerifier')
    await world.call(token, 'setBlocked', world.nodeWallet, true)
    await world.deliver({ amount, token: token.address })
    const answer = (await entries()).find(({ kind }) => kind === 'answer')
    expect(answer).toMatchObject({ payment: '0' })
    expect(BigInt(answer?.owed ?? 0)).toBeGreaterThan(0n)
    await agreeInToken()
    await claim()
    await agreeInToken()
  })
})

describe.for([false, true])('the fee gets another owner; first deployment: %s', firstDeployment => {
  const verifierFee = 1_000n
  const newRecipient: Address = '0x00000000000000000000000000000000000fee01'

  /** An answer that a verifier judges at once, computed and not sent; a block later its fee goes to somebody else. */
  async function answered(): Promise<void> {
    world = await startProving({ kind: 'AtomicVerifier', firstDeployment, stake })
    await world.call(world.verifier, 'setFee', zeroAddress, verifierFee)
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    await world.compute()
  }

  async function passFeeOn({ first }: { first: boolean }): Promise<void> {
    const { deployer, registry } = world.chain
    const fee = await deployer.chain.readContract({
      address: registry,
      abi: registryAbi,
      functionName: 'FEE',
    })
    const { baseFeePerGas } = await deployer.chain.getBlock()
    await deployer.wallet.writeContract({
      address: fee,
      abi: feeAbi,
      functionName: 'transferOwnership',
      args: [newRecipient],
      gas: 100_000n,
      // Blocks are made by the highest that is offered.
      maxFeePerGas: first ? parseGwei('10000') : ((baseFeePerGas ?? 0n) * 9n) / 8n + 1n,
      maxPriorityFeePerGas: first ? parseGwei('5000') : 0n,
    })
  }

  const answer = async () => (await entries()).find(({ kind }) => kind === 'answer')

  test.for([true, false])(
    'behavior: in the block of an answer: each has what is booked as its own; before it: %s',
    async first => {
      await answered()
      await world.request('evm_setAutomine', false)
      await world.look(
        world.ticker({
          paymentAddress: world.nodeWallet,
          gas: { minPriorityFeePerGas: parseGwei('2') },
        }),
      )
      await passFeeOn({ first })
      await world.mine()
      await world.request('evm_setAutomine', true)
      await world.look(world.node)
      const hasFee = (await world.balanceOf(newRecipient)) > 0n
      expect(hasFee).toBe(first)
      expect(await answer()).toMatchObject({
        verifier_fee: String(await world.balanceOf(world.verifier.address)),
        ...(hasFee && { protocol_fee: String(await world.balanceOf(newRecipient)) }),
      })
      expect(await answer()).not.toMatchObject({ protocol_fee: '0' })
    },
  )

  test('behavior: where the state of its block is forgotten, it is who had it at first', async () => {
    await answered()
    await passFeeOn({ first: true })
    const asked = encodeFunctionData({ abi: feeAbi, functionName: 'FEE_RECIPIENT' })
    world.proxy.setOverride(call =>
      JSON.stringify(call.params).includes(asked)
        ? { error: { code: -32_000, message: 'missing trie node' } }
        : null,
    )
    await world.later(3)
    const [has, verifierHas] = [
      await world.balanceOf(newRecipient),
      await world.balanceOf(world.verifier.address),
    ]
    expect(has).toBeGreaterThan(0n)
    expect(await answer()).toMatchObject({ protocol_fee: '0', verifier_fee: String(has + verifierHas) })
  })
})
