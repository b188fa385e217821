import { sql } from 'drizzle-orm'
import { type Address, numberToHex, parseEther, parseGwei } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { type Contract, fund } from '../../../support/chain.ts'
import { type GuardWorld, price, startGuardWorld } from './world.ts'

/** What is on its way when gas becomes dear, of a node that works for what pays, on a real chain. */

/** As much as 200,000 gas cost at 10 gwei. */
const little = parseEther('0.002')
const guard = { ...openGuard, worth: { ...openGuard.worth, serve: { kind: 'profitable' } as const } }
/** Of the OP stack. */
const dataFeeOracle = '420000000000000000000000000000000000000f'

let world: GuardWorld
let node: ChainTick
let other: Contract
let otherPayer: Address

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
    node = world.node({ guard })
    other = await world.another()
    otherPayer = await fund(world.chain, { spender: other.address, amount: price })
  })
  afterEach(async () => await world?.close())

  /** Blocks at so many gwei, with a look at each. */
  async function blocks(gwei: number, count: number): Promise<void> {
    for (let mined = 0; mined < count; mined++) {
      await world.request('anvil_setNextBlockBaseFeePerGas', numberToHex(gwei * 1_000_000_000))
      await world.mine()
      await world.look(node)
    }
  }
  /** One that is signed at a gwei, and not mined; with what was asked before, so many. */
  async function sendLittle(count = 1): Promise<void> {
    await world.askFor({ paid: true, amount: little })
    await blocks(1, 1)
    await world.compute()
    await world.request('evm_setAutomine', false)
    await world.look(node)
    expect(await world.states()).toEqual(Array(count).fill('sending'))
  }
  /** By another consumer, who pays for gas at whatever price. */
  async function sendMuch(): Promise<void> {
    await world.request('evm_setAutomine', true)
    await world.askFor({ from: other, paid: true, wallet: otherPayer })
    await world.request('evm_setAutomine', false)
    await world.look(node)
    await world.compute()
    await world.look(node)
  }
  /** No transaction is taken. */
  function refuse(): void {
    const refused = { kind: 'error', code: -32_000, message: 'transaction underpriced' } as const
    world.proxy.setFault(({ calls }) =>
      calls.some(({ method }) => method === 'eth_sendRawTransaction') ? refused : null,
    )
  }
  const sent = async () =>
    await world.queue.db.orm.all<{ kind: string; state: string; most: number; gas: number }>(sql`
      select kind, state, max(cast(max_fee as integer)) as most, gas_limit as gas from transactions join raws on raws.tx = transactions.id
      group by transactions.id order by nonce`)

  test('default: no more is offered than the answer brings; it is mined when gas is cheap again', async () => {
    await sendLittle()
    const [{ gas } = { gas: 0 }] = await world.queue.db.orm.all<{ gas: number }>(
      sql`select gas from deliveries`,
    )
    await blocks(5, 3)
    const [raised] = await sent()
    // For that it pays.
    expect(raised?.most).toBeGreaterThan(5_000_000_000)
    await blocks(30, 12)
    const [waiting] = await sent()
    expect(waiting).toMatchObject({ kind: 'deliver', state: 'sent' })
    expect((waiting?.most ?? 0) * gas).toBeLessThanOrEqual(Number(little))
    await blocks(1, 3)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: where what comes behind it pays, its nonce is used up for nothing, and it waits for its fee', async () => {
    await sendLittle()
    await blocks(30, 4)
    await sendMuch()
    await blocks(30, 8)
    expect(await world.deliveries()).toMatchObject([
      { state: 'computed', reason: 'unprofitable', tries: 0 },
      { state: 'delivered' },
    ])
    expect(await sent()).toMatchObject([
      { kind: 'cancel', state: 'mined' },
      { kind: 'deliver', state: 'mined' },
    ])
    world.queue.clock.ms += 31_000
    await blocks(1, 4)
    expect(await world.states()).toEqual(['delivered', 'delivered'])
  })

  test('behavior: what was sent before its nonce was used up for nothing may be mined all the same', async () => {
    await sendLittle()
    await blocks(30, 4)
    await sendMuch()
    const [first] = await world.queue.db.orm.all<{ raw: string }>(
      sql`select raw from raws join transactions on transactions.id = raws.tx order by nonce, seq limit 1`,
    )
    await blocks(30, 1)
    for (let looked = 0; looked < 8 && (await sent())[0]?.kind !== 'cancel'; looked++) await world.look(node)
    expect((await sent())[0]).toMatchObject({ kind: 'cancel' })
    await world.request('anvil_dropAllTransactions')
    await world.request('anvil_setNextBlockBaseFeePerGas', numberToHex(1_000_000_000))
    await world.mine()
    await world.request('eth_sendRawTransaction', first?.raw)
    await blocks(1, 4)
    expect(await world.fulfilled()).toEqual([1, 2])
    expect(await world.states()).toEqual(['delivered', 'delivered'])
  })

  test('behavior: what does not pay either needs no nonce before it', async () => {
    await world.askFor({ from: other, paid: true, amount: little, wallet: otherPayer })
    await sendLittle(2)
    await blocks(30, 12)
    // Of the first deployments each goes by itself.
    const each = { kind: 'deliver', state: 'sent' }
    expect(await sent()).toMatchObject(firstDeployment ? [each, each] : [each])
  })

  test('behavior: one that no endpoint takes, and that cannot be raised, makes room for what comes next', async () => {
    refuse()
    await world.askFor({ paid: true, amount: little })
    await blocks(1, 1)
    await world.compute()
    await world.request('evm_setAutomine', false)
    // What it offers at most is above the market's price, and 15 % more is above what it brings.
    await blocks(5, 4)
    expect((await sent())[0]).toMatchObject({ kind: 'cancel' })
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'unprofitable' }])
  })

  test('behavior: what waits gives its place to what pays, where there is no other', async () => {
    node = world.node({ guard, gas: { maxInFlight: 1 } })
    await sendLittle()
    await blocks(30, 4)
    await sendMuch()
    await blocks(30, 8)
    expect(await world.states()).toEqual(['computed', 'delivered'])
  })

  describe('above the ceiling', () => {
    /** What is signed at 4 gwei offers 9: 15 % more is above it, and so is the market at 30 gwei; at 9.1 gwei that is not. */
    const gas = { maxFeePerGas: parseGwei('10.2') }
    /** What was asked is signed, and gas becomes too dear for it, and for the node. */
    async function waitInVain(...gwei: readonly number[]): Promise<void> {
      await blocks(4, 1)
      await world.compute()
      await world.request('evm_setAutomine', false)
      await world.look(node)
      for (const each of gwei) await blocks(each, 6)
    }

    test.for([
      ['what would pay for it', price, [30, 9.1]],
      ['what does not pay for it either', little, [30]],
    ] as const)('behavior: %s waits as it is, whatever is behind it', async ([, amount, gwei]) => {
      // Of which each takes a transaction.
      node = world.node({ guard, gas: { ...gas, maxGasLimit: 300_000 } })
      await world.askFor({ paid: true, amount })
      await world.askFor({ from: other, paid: true, wallet: otherPayer })
      await waitInVain(...gwei)
      const each = { kind: 'deliver', state: 'sent', most: 9_000_000_000 }
      expect(await sent()).toMatchObject([each, each])
      await blocks(6, 3)
      expect(await world.states()).toEqual(['delivered', 'delivered'])
    })

    test('behavior: what leaves no room waits as it is: nothing else could be sent', async () => {
      node = world.node({ guard, gas: { ...gas, maxInFlight: 1 } })
      await world.askFor({ paid: true })
      await waitInVain(30, 9.1)
      expect(await sent()).toMatchObject([{ kind: 'deliver', state: 'sent', most: 9_000_000_000 }])
      await blocks(6, 3)
      expect(await world.states()).toEqual(['delivered'])
    })

    test('behavior: what no endpoint takes is offered as it is until one does', async () => {
      node = world.node({ guard, gas })
      refuse()
      await world.askFor({ paid: true })
      await waitInVain(30, 9.1)
      expect(await sent()).toMatchObject([{ kind: 'deliver', state: 'signed', most: 9_000_000_000 }])
      world.proxy.setFault(undefined)
      await blocks(6, 3)
      expect(await world.states()).toEqual(['delivered'])
    })
  })

  test('behavior: nothing is given up since it is not told for a moment what the chain takes beside gas', async () => {
    refuse()
    await world.askFor({ paid: true })
    await blocks(1, 1)
    await world.compute()
    await world.request('evm_setAutomine', false)
    await blocks(1, 1)
    world.proxy.setOverride(call =>
      JSON.stringify(call).includes(dataFeeOracle)
        ? { error: { code: -32_005, message: 'limit exceeded' } }
        : null,
    )
    await blocks(5, 2)
    expect(await sent()).toMatchObject([{ kind: 'deliver', state: 'signed' }])
    world.proxy.setOverride(undefined)
    world.proxy.setFault(undefined)
    await blocks(5, 3)
    expect(await world.states()).toEqual(['delivered'])
  })
})
