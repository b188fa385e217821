import { sql } from 'drizzle-orm'
import { type Address, erc20Abi, parseGwei } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { type Contract, createSubscription, deploy, transact } from '../../../support/chain.ts'
import { feeRecipient, type Paying, startPaying } from './paying.ts'

/** Answers that nobody judges, paid in tokens of every kind: who has what in the end, and what the books say of it. */

let world: Paying
afterEach(async () => await world?.close())

type Kind = {
  name: string
  /** Solidity's file. */
  file: string
  args?: readonly unknown[]
  amount?: bigint
  /** Of 100: what of a transfer does not arrive. */
  lost?: bigint
  prepare?(token: Contract): Promise<unknown>
  /** From then on nothing is paid in it. */
  spoil?(token: Contract): Promise<unknown>
}

const call = async (token: Contract, functionName: string, ...args: unknown[]) =>
  await transact(world.chain, token, { functionName, args })

const losing = (lost: bigint): Kind => ({
  name: 'StrangeToken',
  file: 'StrangeToken',
  lost,
  prepare: async token => await call(token, 'setLost', 100n * lost),
})
/** `answers`: whether it says false, nothing, or a megabyte; absent: it just reverts. */
const blocking = (whom: () => Address, answers?: readonly boolean[]): Kind => ({
  name: 'StrangeToken',
  file: 'StrangeToken',
  ...(answers && { prepare: async token => await call(token, 'setAnswers', ...answers) }),
  spoil: async token => await call(token, 'setBlocked', whom(), true),
})

const paying: Record<string, Kind> = {
  'of 6 decimals': { name: 'DecimalToken', file: 'DecimalToken', args: [6] },
  'of 6 decimals, a unit of it': { name: 'DecimalToken', file: 'DecimalToken', args: [6], amount: 1n },
  'of 24 decimals': {
    name: 'DecimalToken',
    file: 'DecimalToken',
    args: [24],
    amount: 3n * 10n ** 27n + 1n,
  },
  'says and tells nothing': { name: 'SilentToken', file: 'OddTokens' },
  'keeps 1 %': losing(1n),
  'keeps everything': losing(100n),
}
const lying = (come: bigint, gone: bigint): Kind => ({
  name: 'LyingToken',
  file: 'LyingToken',
  prepare: async token => await call(token, 'setLies', come, gone),
})
const refusing: Record<string, Kind> = {
  'says false': { name: 'FalseToken', file: 'OddTokens', spoil: async () => {} },
  reverts: {
    name: 'StubbornToken',
    file: 'Tokens',
    spoil: async token => await call(token, 'refuse', world.payer, true),
  },
  'blocks the node’s wallet': blocking(() => world.nodeWallet),
  'blocks the consumer’s wallet': blocking(() => world.payer),
  'blocks who gets the protocol’s fee': blocking(() => feeRecipient),
  'blocks, and says false': blocking(() => world.payer, [true, false, false]),
  'blocks, and says a megabyte': blocking(() => world.payer, [false, false, true]),
}

type Asked = { name: string; kind: Kind; token: Contract; subscription: number; amount: bigint }

/** The consumer's wallet has the price, and as much again. */
async function ask(
  [name, kind]: readonly [string, Kind],
  { isSpoilt }: { isSpoilt: boolean },
): Promise<Asked> {
  const { amount = 50_000_001n, args = [] } = kind
  const { chain, payer, consumer } = world
  const token = await deploy(chain, { name: kind.name, file: kind.file, args })
  await call(token, 'mint', payer, 2n * amount)
  const wallet = { address: payer, abi: walletAbi }
  await transact(chain, wallet, { functionName: 'approve', args: [consumer.address, token.address, amount] })
  await kind.prepare?.(token)
  if (isSpoilt) await kind.spoil?.(token)
  const terms = { token: token.address, wallet: payer, amount }
  return { name, kind, token, subscription: await createSubscription(chain, consumer, terms), amount }
}

async function askAll(kinds: Record<string, Kind>, options = { isSpoilt: false }): Promise<Asked[]> {
  const asked: Asked[] = []
  for (const kind of Object.entries(kinds)) asked.push(await ask(kind, options))
  return asked
}

type Held = { payment: bigint; protocolFee: bigint; spent: bigint }
const nothing: Held = { payment: 0n, protocolFee: 0n, spent: 0n }

/** By the contract's arithmetic. */
function due({ kind: { lost = 0n }, amount }: Asked): Held {
  const arrived = (sent: bigint) => sent - (sent * lost) / 100n
  const fee = (amount * 1_022n) / 10_000n
  return { payment: arrived(amount - fee), protocolFee: arrived(fee), spent: amount }
}

async function held({ token, amount }: Asked): Promise<Held> {
  const of = async (account: Address) =>
    await world.chain.deployer.chain.readContract({
      address: token.address,
      abi: erc20Abi,
      functionName: 'balanceOf',
      args: [account],
    })
  const [payment, protocolFee, left] = [
    await of(world.nodeWallet),
    await of(feeRecipient),
    await of(world.payer),
  ]
  return { payment, protocolFee, spent: 2n * amount - left }
}

async function table<T>(asked: readonly Asked[], told: (one: Asked) => T | Promise<T>) {
  return Object.fromEntries(await Promise.all(asked.map(async one => [one.name, await told(one)] as const)))
}

async function booked(): Promise<(one: Asked) => Omit<Held, 'spent'> | null> {
  const entries = new Map((await world.entries()).map(entry => [entry.token, entry]))
  return ({ token }) => {
    const entry = entries.get(token.address.toLowerCase() as Address)
    return entry === undefined
      ? null
      : { payment: BigInt(entry.payment), protocolFee: BigInt(entry.protocol_fee) }
  }
}

/** Why nothing is begun of them. */
async function reasons(): Promise<(one: Asked) => string | undefined> {
  const rows = await world.queue.db.orm.all<{ id: number; reason: string }>(
    sql`select id, reason from subscriptions`,
  )
  const byId = new Map(rows.map(({ id, reason }) => [id, reason]))
  return ({ subscription }) => byId.get(subscription)
}

async function fates(): Promise<(one: Asked) => { state: string; reason: string | null } | undefined> {
  const byId = new Map(
    (await world.deliveries()).map(({ subscription, state, reason }) => [subscription, { state, reason }]),
  )
  return ({ subscription }) => byId.get(subscription)
}

const record = async () =>
  await readConsumer(world.queue.db, {
    config: { id: world.chain.id, guard: openGuard },
    owner: world.consumer.address.toLowerCase(),
  })

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: what pays is paid to the unit; for what does not, nothing is computed', async () => {
    world = await startPaying({ firstDeployment })
    const paid = await askAll(paying)
    const refused = await askAll(refusing, { isSpoilt: true })
    await world.look(world.node)
    expect(await table(refused, await reasons())).toEqual(await table(refused, () => 'TransferFailed'))
    expect(await world.compute()).toBe(paid.length)
    await expect
      .poll(async () => {
        await world.look(world.node)
        await world.mine()
        return await world.states()
      })
      .toEqual(paid.map(() => 'delivered'))
    const onChain = await table(paid, held)
    expect(onChain).toEqual(await table(paid, due))
    expect(await table(refused, held)).toEqual(await table(refused, () => nothing))
    expect(await table(paid, await booked())).toEqual(
      await table(paid, ({ name }) => {
        const { payment, protocolFee } = onChain[name]!
        return { payment, protocolFee }
      }),
    )
    expect(await world.entries()).toHaveLength(paid.length)
    expect(await record()).toMatchObject({ paid: paid.length, dropped: 0, reverted: 0, wasted: '0' })
  })

  test('behavior: one that lies of what has moved: no less than nothing is booked, and no more than was paid', async () => {
    world = await startPaying({ firstDeployment })
    const asked = await askAll({
      'more has gone than has come': lying(5n, 5_000_000_000_000_000n),
      'more has come than was paid': lying(2n ** 255n, 1n),
    })
    await world.look(world.node)
    expect(await world.compute()).toBe(asked.length)
    await expect
      .poll(async () => {
        await world.look(world.node)
        await world.mine()
        return await world.states()
      })
      .toEqual(asked.map(() => 'delivered'))
    expect(await table(asked, held)).toEqual(await table(asked, due))
    const [, more] = asked as [Asked, Asked]
    const { payment, protocolFee } = due(more)
    expect(await table(asked, await booked())).toEqual({
      'more has gone than has come': { payment: 0n, protocolFee: 0n },
      'more has come than was paid': { payment, protocolFee },
    })
  })

  test('behavior: one that pays no more once all is computed costs simulations, and counts to who asked', async () => {
    world = await startPaying({ firstDeployment })
    const { 'says false': _, ...later } = refusing
    const asked = await askAll(later)
    await world.look(world.node)
    expect(await world.compute()).toBe(asked.length)
    for (const { kind, token } of asked) await kind.spoil?.(token)
    // As often as it is worth a try.
    for (let times = 0; times < 10; times++) {
      await world.look(world.node)
      await world.mine()
      world.queue.clock.ms += 11 * 60_000
    }
    const dropped = { state: 'dropped', reason: 'TransferFailed' }
    expect(await table(asked, await fates())).toEqual(await table(asked, () => dropped))
    expect(await table(asked, held)).toEqual(await table(asked, () => nothing))
    expect(await world.entries()).toEqual([])
    expect((await world.balances()).gasCost).toBe(0n)
    expect(await record()).toMatchObject({ paid: 0, dropped: asked.length, reverted: 0, wasted: '0' })
  })

  test('behavior: one that pays no more in the block that it is mined in has cost its gas, and keeps nobody from being paid', async () => {
    world = await startPaying({ firstDeployment })
    const blocks = blocking(() => world.payer)
    const asked = await askAll({ 'keeps 1 %': losing(1n), 'blocks from then on': blocks })
    const [paid, failed] = asked as [Asked, Asked]
    await world.look(world.node)
    expect(await world.compute()).toBe(2)
    await world.request('evm_setAutomine', false)
    await world.look(world.node)
    await world.chain.deployer.wallet.writeContract({
      ...failed.token,
      functionName: 'setBlocked',
      args: [world.payer, true],
      gas: 100_000n,
      maxFeePerGas: parseGwei('100'),
      maxPriorityFeePerGas: parseGwei('50'),
    })
    await world.mine()
    await world.request('evm_setAutomine', true)
    await world.look(world.node)
    expect(await table(asked, held)).toEqual({ [paid.name]: due(paid), [failed.name]: nothing })
    const entries = await world.entries()
    expect(entries).toHaveLength(2)
    const told = new Map(
      entries.map(({ subscription, kind, payment, protocol_fee }) => [
        subscription,
        { kind, payment, protocol_fee },
      ]),
    )
    const { payment, protocolFee } = due(paid)
    expect(await table(asked, ({ subscription }) => told.get(subscription))).toEqual({
      [paid.name]: { kind: 'answer', payment: String(payment), protocol_fee: String(protocolFee) },
      [failed.name]: { kind: 'failed', payment: '0', protocol_fee: '0' },
    })
    const { gasCost } = await world.balances()
    expect(entries.reduce((sum, { gas_cost }) => sum + BigInt(gas_cost), 0n)).toBe(gasCost)
    const wasted = entries.find(({ kind }) => kind === 'failed')?.gas_cost
    expect(await record()).toMatchObject({ paid: 1, dropped: 0, reverted: 1, wasted })
  })
})
