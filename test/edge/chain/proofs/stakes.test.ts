import { sql } from 'drizzle-orm'
import { encodeFunctionData, type Hex, numberToHex, parseGwei, zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { createWallet } from '../../../../src/local/chain/start.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import {
  type Contract,
  createdBy,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
} from '../../../support/chain.ts'
import { dieAt } from '../outbox/mortal.ts'
import { type Proving, price, protocolFee, startProving } from './proving.ts'

/** What backs proofs: whether it is there, and that the node's wallet lets the signer lock it. */

let world: Proving
afterEach(async () => await world?.close())

const nodeWallet = (): Contract => ({ address: world.nodeWallet, abi: walletAbi as Contract['abi'] })
const jobs = async () => (await world.queue.ids()).length

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: many wait for one approval, and are staked in one look', async () => {
    world = await startProving({ firstDeployment })
    for (let i = 0; i < 3; i++) await world.prove()
    await world.request('evm_setAutomine', false)
    await world.look(world.node, 3)
    expect(await world.reasons()).toEqual(Array(3).fill('stake_unapproved'))
    expect([await world.sent(), await jobs()]).toEqual([['approve sent'], 0])
    // Another block without it: there is still one.
    await world.request('evm_mine')
    await world.request('evm_setAutomine', true)
    await world.look(world.node, 2)
    expect(await world.compute()).toBe(3)
    await world.later(3)
    expect(await world.states()).toEqual(Array(3).fill('delivered'))
    expect((await world.sent()).filter(sent => sent.startsWith('approve'))).toHaveLength(1)
    expect(await world.allowance()).toBe(0n)
    expect(await world.proofs()).toMatchObject(Array(3).fill({ state: 'pending' }))
  })

  test('behavior: what is promised, and not mined, is not promised again', async () => {
    world = await startProving({ firstDeployment, stake: 2n * price })
    for (let i = 0; i < 2; i++) await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await jobs()).toBe(2)
    await world.prove()
    await world.look(world.node)
    expect(await jobs()).toBe(2)
    expect((await world.reasons()).filter(reason => reason === 'insufficient_stake')).toHaveLength(1)
    await world.compute()
    await world.later(3)
    // Locked by then, and not there all the same.
    expect(await jobs()).toBe(2)
    await world.call(world.verifier, 'finalize', 1, 1, nodeAddress, true)
    await world.warp(3_600)
    await world.warp(3_600)
    expect(await jobs()).toBe(3)
  })
})

test('behavior: what is not begun for another reason is promised nothing, and nothing is approved for it', async () => {
  world = await startProving()
  const fee = world.chain.fee.toLowerCase()
  world.proxy.setOverride(({ params }) =>
    JSON.stringify(params).toLowerCase().includes(fee)
      ? { error: { code: 3, message: 'execution reverted', data: '0x' } }
      : null,
  )
  await world.prove()
  await world.look(world.node, 2)
  expect([await world.reasons(), await world.sent()]).toEqual([['fee_unknown'], []])
  world.proxy.setOverride(undefined)
  await world.warp(60)
  await world.later(2)
  expect(await world.sent()).toEqual(['approve mined'])
  expect(await world.compute()).toBe(1)
})

test('behavior: nothing is computed, or approved, while the protocol takes more than the terms allow', async () => {
  world = await startProving()
  const { chain, verifier, payer, consumer } = world
  const request = {
    containerId: 'echo',
    frequency: 1,
    period: 0,
    redundancy: 1,
    lazy: false,
    paymentToken: zeroAddress,
    paymentAmount: price,
    wallet: payer,
    verifier: verifier.address,
  }
  const maxFee = protocolFee - 1
  const terms = { expiresAt: 0, maxFee, prepaid: false, committed: false, refundOnSilence: false }
  await createdBy(chain, consumer, { functionName: 'open', args: [request, terms] })
  await world.look(world.node, 2)
  expect([await world.reasons(), await world.sent(), await jobs()]).toEqual([['FeeAboveTerms'], [], 0])
  await world.call({ address: chain.fee, abi: feeAbi as Contract['abi'] }, 'updateFee', maxFee)
  await world.warp(60)
  await world.later(2)
  expect(await world.sent()).toEqual(['approve mined'])
  expect(await world.compute()).toBe(1)
})

describe.for([false, true])('profitable; first deployment: %s', firstDeployment => {
  const guard = { ...openGuard, worth: { ...openGuard.worth, serve: { kind: 'profitable' as const } } }
  /** At 100 gwei its payout is 897,800 gas, once the fees are off. */
  const amount = price / 10n
  const ask = async (lastGas: number) => {
    await lastTook(lastGas)
    await world.prove({ amount })
  }
  const lastTook = async (gas: number) => {
    await world.queue.db.orm.run(sql`
      insert into consumers (chain, owner, last_gas, first_seen, last_seen)
      values (${world.chain.id}, ${world.consumer.address.toLowerCase()}, ${gas}, 1, 1)
      on conflict do update set last_gas = excluded.last_gas`)
  }
  const lookAt = async (node: ChainTick, fee = parseGwei('100')) => {
    await world.queue.db.orm.run(sql`update subscriptions set due_at = 0 where state = 'active'`)
    await world.request('anvil_setNextBlockBaseFeePerGas', numberToHex(fee))
    await world.mine()
    await world.look(node)
  }

  test('behavior: finalizing belongs to what an answer costs whose verifier may be silent', async () => {
    world = await startProving({ firstDeployment })
    const node = world.ticker({ paymentAddress: world.nodeWallet, guard })
    await ask(850_000)
    await lookAt(node)
    expect([await world.reasons(), await world.sent()]).toEqual([['unprofitable'], []])
    await lastTook(200_000)
    await lookAt(node)
    await lookAt(node)
    expect(await world.compute()).toBe(1)
    await lookAt(node, parseGwei('190'))
    const [answer] = await world.queue.db.orm.all<{ call: Hex; payout: string; reason: string }>(
      sql`select call, min_payout as payout, reason from deliveries`,
    )
    if (answer === undefined) throw new Error('Nothing is computed')
    const { coordinator: to } = world.chain
    const estimated = await world.request('eth_estimateGas', { from: nodeAddress, to, data: answer.call })
    const tip = BigInt((await world.request('eth_maxPriorityFeePerGas')) as Hex)
    /** At which it pays for itself, and for so much gas more. */
    const feeFor = (more: bigint) => BigInt(answer.payout) / (BigInt(estimated as Hex) + more) - tip
    const sent = async (fee: bigint) => {
      world.queue.clock.ms += 31_000
      await lookAt(node, fee)
      return (await world.sent()).includes('deliver sent')
    }
    expect([await sent(feeFor(45_000n)), await sent(feeFor(100_000n))]).toEqual([false, true])
  })

  test('behavior: a verifier that judges at once leaves nothing to finalize', async () => {
    world = await startProving({ firstDeployment, kind: 'AtomicVerifier' })
    const node = world.ticker({ paymentAddress: world.nodeWallet, guard })
    await ask(200_000)
    await lookAt(node)
    await lookAt(node)
    expect(await world.compute()).toBe(1)
    await lookAt(node)
    await lookAt(node)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
    await ask(850_000)
    await lookAt(node)
    expect(await world.reasons()).toEqual(['begun', 'begun'])
  })

  test('behavior: a stake is approved where those that wait for it pay for that', async () => {
    world = await startProving({ firstDeployment })
    const node = world.ticker({ paymentAddress: world.nodeWallet, guard })
    // With what finalizing takes they have 27,800 gas left each.
    await ask(780_000)
    await lookAt(node)
    expect([await world.reasons(), await world.sent()]).toEqual([['approval_unprofitable'], []])
    await ask(780_000)
    await lookAt(node)
    expect([await world.reasons(), await world.sent()]).toEqual([
      ['stake_unapproved', 'stake_unapproved'],
      ['approve sent'],
    ])
  })

  test('behavior: what is not worth an approval is looked at again when another is mined', async () => {
    world = await startProving({ firstDeployment })
    const node = world.ticker({ paymentAddress: world.nodeWallet, guard })
    await ask(780_000)
    await lookAt(node)
    expect(await world.reasons()).toEqual(['approval_unprofitable'])
    // As if it had been looked at in vain for long.
    await world.queue.db.orm.run(sql`update subscriptions set due_at = due_at + 500`)
    await ask(200_000)
    await world.request('anvil_setNextBlockBaseFeePerGas', numberToHex(parseGwei('100')))
    await world.mine()
    await world.look(node)
    expect([await world.reasons(), await world.sent()]).toEqual([
      ['approval_unprofitable', 'stake_unapproved'],
      ['approve sent'],
    ])
    await world.mine()
    await world.look(node, 2)
    expect(await world.sent()).toContain('approve mined')
    expect(await world.reasons()).not.toContain('approval_unprofitable')
  })
})

describe.for([false, true])('a stake; first deployment: %s', firstDeployment => {
  test('behavior: is neither kept nor approved for what the node does not work for', async () => {
    world = await startProving({ firstDeployment, stake: price })
    const { consumer, chain, queue } = world
    const other = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
    const wallet = await fund(chain, { spender: other.address, amount: price })
    // An answer to the one takes more gas than there is, by its last; to the other, as much as is guessed.
    await queue.db.orm.run(sql`
      insert into consumers (chain, owner, last_gas, first_seen, last_seen)
      values (${chain.id}, ${consumer.address.toLowerCase()}, 100000000000, 1, 1)`)
    const guard = { ...openGuard, worth: { ...openGuard.worth, serve: { kind: 'profitable' as const } } }
    const node = world.ticker({ paymentAddress: world.nodeWallet, guard })
    await world.prove()
    await world.look(node)
    expect([await world.reasons(), await world.sent()]).toEqual([['unprofitable'], []])
    await createSubscription(chain, other, { amount: price, wallet, verifier: world.verifier.address })
    await queue.db.orm.run(sql`update subscriptions set due_at = 0`)
    await world.look(node)
    expect([await world.reasons(), await world.sent()]).toEqual([
      ['unprofitable', 'stake_unapproved'],
      ['approve sent'],
    ])
    await world.mine()
    await queue.db.orm.run(sql`update subscriptions set due_at = 0`)
    await world.look(node)
    expect(await world.reasons()).toEqual(['unprofitable', 'begun'])
    expect(await jobs()).toBe(1)
  })

  test('behavior: that is not there is waited for', async () => {
    world = await startProving({ firstDeployment, stake: 0n })
    await world.prove()
    await world.look(world.node)
    expect([await world.reasons(), await world.sent(), await jobs()]).toEqual([['insufficient_stake'], [], 0])
    await world.chain.anvil.setBalance({ address: world.nodeWallet, value: price })
    await world.warp(60)
    await world.warp(60)
    expect(await world.compute()).toBe(1)
    await world.later(3)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: of a wallet of another is approved by its owner alone', async () => {
    const owner = '0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc'
    world = await startProving({ firstDeployment, owner })
    expect(world.chain.deployer.wallet.account.address.toLowerCase()).toBe(owner)
    await world.prove()
    await world.look(world.node)
    await world.warp(60)
    expect([await world.reasons(), await world.sent(), await jobs()]).toEqual([['stake_not_ours'], [], 0])
    await world.call(nodeWallet(), 'approve', nodeAddress, zeroAddress, price)
    await world.warp(60)
    expect(await world.compute()).toBe(1)
    await world.later(3)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: that is gone once it is computed is waited for, however long, and nobody else is to blame', async () => {
    world = await startProving({ firstDeployment })
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    await world.chain.anvil.setBalance({ address: world.nodeWallet, value: 0n })
    await world.later(12)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'insufficient_stake' }])
    expect(await world.queue.db.orm.all(sql`select 1 from consumers where dropped > 0`)).toEqual([])
    await world.chain.anvil.setBalance({ address: world.nodeWallet, value: price })
    await world.later(2)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: that is taken out once it is computed is told, approved anew, and then delivered', async () => {
    world = await startProving({ firstDeployment })
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    await world.chain.anvil.setBalance({ address: world.nodeWallet, value: 0n })
    await world.look(world.node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'insufficient_stake' }])
    await world.chain.anvil.setBalance({ address: world.nodeWallet, value: price })
    await world.later(2)
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined'])
  })

  test('behavior: in a wallet that is the node’s no more is for what names that, and for nothing else', async () => {
    world = await startProving({ firstDeployment })
    const { anvil, deployer, walletFactory } = world.chain
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    await anvil.setBalance({ address: world.nodeWallet, value: 0n })
    await world.look(world.node)
    const told = async () => (await world.deliveries()).map(({ state, reason }) => [state, reason])
    expect(await told()).toEqual([['computed', 'insufficient_stake']])
    const other = await createWallet(deployer, walletFactory, nodeAddress)
    await anvil.setBalance({ address: other, value: price })
    const node = world.ticker({ paymentAddress: other })
    const later = async (times: number) => {
      for (let looks = 0; looks < times; looks++) {
        world.queue.clock.ms += 11 * 60_000
        await world.chain.warp(60)
        await world.look(node)
      }
    }
    await world.prove()
    await later(3)
    expect(await world.reasons()).toEqual(['begun', 'begun'])
    expect(await world.compute()).toBe(1)
    await later(2)
    expect(await told()).toEqual([
      ['computed', 'insufficient_stake'],
      ['delivered', null],
    ])
    // Nothing is approved of the one for what the other is lacking.
    expect(await world.sent()).toEqual(['approve mined', 'approve mined', 'deliver mined'])
    await anvil.setBalance({ address: world.nodeWallet, value: price })
    await later(2)
    expect(await world.states()).toEqual(['delivered', 'delivered'])
  })

  test('behavior: whose approval was withdrawn is approved anew', async () => {
    world = await startProving({ firstDeployment })
    await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    await approveAsNode(0n)
    await world.look(world.node)
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', reason: 'stake_unapproved' }])
    await world.later(3)
    expect(await world.states()).toEqual(['delivered'])
    expect((await world.sent()).filter(sent => sent.startsWith('approve'))).toHaveLength(2)
  })
})

/** The owner's own hand. */
async function approveAsNode(amount: bigint): Promise<void> {
  const from = nodeAddress
  await world.request('anvil_impersonateAccount', from)
  await world.request('eth_sendTransaction', {
    from,
    to: world.nodeWallet,
    data: encodeFunctionData({ abi: walletAbi, functionName: 'approve', args: [from, zeroAddress, amount] }),
  })
  await world.request('anvil_stopImpersonatingAccount', from)
}

describe.for([false, true])('an approval; first deployment: %s', firstDeployment => {
  test('behavior: is sent once, wherever the node dies meanwhile', async () => {
    world = await startProving({ firstDeployment })
    const { deployer, walletFactory, anvil } = world.chain
    await anvil.setBalance({ address: world.payer, value: 1_000n * price })
    const approvals: string[] = []
    const reorgDepth = 10_000
    // What it dies after, and has not heard of, is what it dies before at the next step.
    let hasDied = true
    for (let step = 0; hasDied; step++) {
      const paymentAddress = await createWallet(deployer, walletFactory, nodeAddress)
      await anvil.setBalance({ address: paymentAddress, value: 1_000n * price })
      await world.prove()
      world.lines.length = 0
      await world.ticker({ paymentAddress, reorgDepth, gate: dieAt(step, 'before') }).tick({ poked: true })
      hasDied = world.events().includes('Tick failed')
      const node = world.ticker({ paymentAddress, reorgDepth })
      await world.look(node)
      // Whoever had it noted that it waits, and died, asks for it again after a pause.
      for (const seconds of [10, 1, 1]) {
        await world.chain.warp(seconds)
        await world.look(node)
      }
      expect(await world.compute(), `step ${step}`).toBe(1)
      await world.look(node)
      await world.chain.warp(1)
      await world.look(node)
      approvals.push('approve mined')
      const sent = await world.sent()
      expect(
        sent.filter(one => one.startsWith('approve')),
        `step ${step}`,
      ).toEqual(approvals)
    }
    expect(approvals.length).toBeGreaterThan(20)
  }, 120_000)

  test('behavior: is sent once by two that look at the same time', async () => {
    world = await startProving({ firstDeployment })
    await world.prove()
    await world.request('evm_setAutomine', false)
    const others = [1, 2, 3].map(() => world.ticker({ paymentAddress: world.nodeWallet }))
    await Promise.all(others.map(async node => await world.look(node)))
    expect(await world.sent()).toEqual(['approve sent'])
    await world.request('evm_setAutomine', true)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    expect(await world.sent()).toEqual(['approve mined'])
  })

  test('behavior: that a reorganisation undoes is sent again', async () => {
    world = await startProving({ firstDeployment })
    await world.prove()
    await world.mine(2)
    await world.look(world.node)
    await world.later(1)
    expect(await world.sent()).toEqual(['approve mined'])
    await world.reorganise(2)
    expect(await world.allowance()).toBe(0n)
    await world.look(world.node, 2)
    await world.later(2)
    expect(await world.sent()).toEqual(['approve mined'])
    expect(await world.allowance()).toBe(price)
  })
})

describe.for([false, true])('a verifier; first deployment: %s', firstDeployment => {
  test('behavior: that takes no such token, or asks for more than is paid, is not computed for', async () => {
    world = await startProving({ firstDeployment, kind: 'AtomicVerifier' })
    await world.call(world.verifier, 'refuse', zeroAddress)
    await world.prove()
    await world.look(world.node)
    expect([await world.reasons(), await world.sent(), await jobs()]).toEqual([
      ['unsupported_verifier'],
      [],
      0,
    ])
    await world.call(world.verifier, 'setFee', zeroAddress, 2n * price)
    await world.warp(60)
    expect(await world.reasons()).toEqual(['unsupported_verifier'])
  })

  test('behavior: that asks for more than the protocol leaves of the price has nothing approved, and nothing computed', async () => {
    world = await startProving({ firstDeployment, kind: 'AtomicVerifier' })
    await world.call(world.verifier, 'setFee', zeroAddress, (95n * price) / 100n)
    await world.prove()
    await world.look(world.node, 2)
    await world.later(2)
    expect([await world.reasons(), await world.sent(), await jobs()]).toEqual([
      ['unsupported_verifier'],
      [],
      0,
    ])
    // To the last unit it would be taken, and bring nothing.
    await world.call(
      world.verifier,
      'setFee',
      zeroAddress,
      price - (price * 2n * BigInt(protocolFee)) / 10_000n,
    )
    await world.warp(3_600)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    await world.later(2)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: that is no contract is not computed for', async () => {
    world = await startProving({ firstDeployment })
    await world.prove({ verifier: '0x00000000000000000000000000000000000000aa' })
    await world.look(world.node)
    expect([await world.reasons(), await jobs()]).toEqual([['unsupported_verifier'], 0])
  })

  test('behavior: that reverts costs simulations, and no nonce but the approval’s', async () => {
    world = await startProving({ firstDeployment })
    await world.prove({ verifier: await revertingVerifier() })
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(1)
    await world.later(4)
    expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'reverted' }])
    expect(await world.sent()).toEqual(['approve mined'])
    expect(await world.balanceOf(world.nodeWallet)).toBe(10n * price)
  })
})

/** Answers what it is asked before, and fails to judge. */
async function revertingVerifier(): Promise<`0x${string}`> {
  // Of another coordinator: its verdict there fails.
  const elsewhere = await deploy(world.chain, {
    name: 'AtomicVerifier',
    file: 'Verifiers',
    args: [world.verifier.address],
  })
  return elsewhere.address
}
