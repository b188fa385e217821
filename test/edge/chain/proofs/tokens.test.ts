import { type Address, erc20Abi } from 'viem'
import { afterEach, expect, test } from 'vitest'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { type Contract, deploy, nodeAddress, transact } from '../../../support/chain.ts'
import { type Proving, protocolFee, startProving } from './proving.ts'

/** Proofs that are paid, and backed, in tokens of every kind: who has what in the end, by the contract's arithmetic. */

let world: Proving
afterEach(async () => await world?.close())

const scale = 10_000n

/** What a delivery moves, of a price and a verifier's fee (contracts 20 of the reference). */
function sharesOf(amount: bigint, fee: bigint) {
  const basis = BigInt(protocolFee)
  const taken = (amount * (2n * basis)) / scale
  const ofVerifier = (fee * basis) / scale
  return { node: amount - taken - fee, verifier: fee - ofVerifier, protocol: taken + ofVerifier }
}

type Held = { node: bigint; verifier: bigint; protocol: bigint; payer: bigint }

async function held(token: Address): Promise<Held> {
  const { chain, wallet } = world.chain.deployer
  const of = async (account: Address) =>
    await chain.readContract({ address: token, abi: erc20Abi, functionName: 'balanceOf', args: [account] })
  return {
    node: await of(world.nodeWallet),
    verifier: await of(world.verifier.address),
    protocol: await of(wallet.account.address),
    payer: await of(world.payer),
  }
}

type Paying = {
  name: string
  file: string
  amount: bigint
  fee: bigint
  prepare?(token: Contract): Promise<void>
}

/** The consumer's wallet has the price and as much again, and the node's its stake. */
async function pay({ name, file, amount, fee, prepare }: Paying): Promise<Contract> {
  world = await startProving({ kind: 'AtomicVerifier' })
  const token = await deploy(world.chain, { name, file })
  for (const to of [world.payer, world.nodeWallet]) await world.call(token, 'mint', to, 2n * amount)
  await transact(
    world.chain,
    { address: world.payer, abi: walletAbi as Contract['abi'] },
    { functionName: 'approve', args: [world.consumer.address, token.address, amount] },
  )
  await world.call(world.verifier, 'setFee', token.address, fee)
  await prepare?.(token)
  await world.deliver({ amount, token: token.address })
  return token
}

const kinds: [string, Paying][] = [
  ['of 6 decimals', { name: 'Token', file: 'Tokens', amount: 40_000_000n, fee: 5_000_000n }],
  ['of 24 decimals', { name: 'Token', file: 'Tokens', amount: 3n * 10n ** 24n + 1n, fee: 10n ** 23n + 7n }],
  ['that says nothing', { name: 'SilentToken', file: 'OddTokens', amount: 999_999n, fee: 12_345n }],
]

test.for(kinds)('default: a token %s is paid to the unit, and the stake comes back', async ([, paying]) => {
  const token = await pay(paying)
  const { node, verifier, protocol } = sharesOf(paying.amount, paying.fee)
  expect(await held(token.address)).toEqual({
    node: 2n * paying.amount + node,
    verifier,
    protocol,
    payer: paying.amount,
  })
  expect(node + verifier + protocol).toBe(paying.amount)
  expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
  expect(await world.sent()).toEqual(['approve mined', 'deliver mined'])
  expect(await allowance(token.address)).toBe(paying.amount)
})

test('behavior: the reference’s sums, in USDC', () => {
  expect(sharesOf(40_000_000n, 5_000_000n)).toEqual({
    node: 30_912_000n,
    verifier: 4_744_500n,
    protocol: 4_343_500n,
  })
})

test('behavior: a token that keeps a part of each transfer pays the rest, and the stake stays whole', async () => {
  const amount = 10_000_000n
  const token = await pay({
    name: 'StrangeToken',
    file: 'StrangeToken',
    amount,
    fee: 0n,
    prepare: token => world.call(token, 'setLost', 100),
  })
  const { node } = sharesOf(amount, 0n)
  expect((await held(token.address)).node).toBe(2n * amount + node - node / 100n)
  expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
  expect(await allowance(token.address)).toBe(amount)
})

test('behavior: a token that blocks the node’s wallet owes it, and does not lock its stake up', async () => {
  const amount = 10_000_000n
  const token = await pay({
    name: 'StrangeToken',
    file: 'StrangeToken',
    amount,
    fee: 0n,
    prepare: token => world.call(token, 'setBlocked', world.nodeWallet, true),
  })
  const { node } = sharesOf(amount, 0n)
  expect((await held(token.address)).node).toBe(2n * amount)
  expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
  const owed = { address: world.payer, abi: walletAbi, functionName: 'owed' } as const
  const args = [token.address, world.nodeWallet] as const
  expect(await world.chain.deployer.chain.readContract({ ...owed, args })).toBe(node)
  expect(await allowance(token.address)).toBe(amount)
})

test('behavior: a token that refuses every transfer costs simulations alone', async () => {
  await pay({ name: 'FalseToken', file: 'OddTokens', amount: 1_000_000n, fee: 0n })
  expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'TransferFailed' }])
  await world.later(10)
  expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'TransferFailed' }])
  expect(await world.sent()).toEqual(['approve mined'])
})

async function allowance(token: Address): Promise<bigint> {
  return await world.chain.deployer.chain.readContract({
    address: world.nodeWallet,
    abi: walletAbi,
    functionName: 'allowance',
    args: [nodeAddress, token],
  })
}
