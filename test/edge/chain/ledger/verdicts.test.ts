import { afterEach, describe, expect, test } from 'vitest'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { createWallet } from '../../../../src/local/chain/start.ts'
import { nodeAddress } from '../../../support/chain.ts'
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
