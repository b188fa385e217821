import { type Address, encodeEventTopics, type Hex, parseEther, zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { noLimits, openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { readConsumer } from '../../../../src/edge/chain/view/consumers.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { type Contract, createdBy, nodeAddress } from '../../../support/chain.ts'
import { type Proving, price, startProving, week } from './proving.ts'

/** What becomes of proofs, and of the money, on both deployments: contracts 20 of the reference has the sums. */

let world: Proving
afterEach(async () => await world?.close())

const verifierFee = parseEther('0.1')
/** Of 1 ETH, with 5.11 % twice of the price, and once of the verifier's fee. */
const payout = parseEther('0.7978')
const verifierPay = parseEther('0.09489')
const protocolPay = parseEther('0.10731')

async function start(options: Parameters<typeof startProving>[0]): Promise<void> {
  world = await startProving(options)
  await world.call(world.verifier, 'setFee', zeroAddress, verifierFee)
}

const balances = async () =>
  await Promise.all([world.nodeWallet, world.payer, world.verifier.address].map(world.balanceOf))
/** What the protocol has got out of the consumer's wallet. */
async function protocolOf(): Promise<bigint> {
  const { wallet, chain } = world.chain.deployer
  const logs = await chain.getContractEvents({
    address: world.payer,
    abi: walletAbi,
    eventName: 'Transfer',
    args: { to: wallet.account.address },
    fromBlock: 0n,
  })
  return logs.reduce((sum, { args }) => sum + (args.amount ?? 0n), 0n)
}

const by = () => world.verifier.address.toLowerCase()
const coordinator = (): Contract => ({
  address: world.chain.coordinator,
  abi: eip712CoordinatorAbi as Contract['abi'],
})

describe.for([false, true])('first deployment: %s', firstDeployment => {
  test('default: an atomic verifier accepts: paid to the wei, the stake is back', async () => {
    await start({ kind: 'AtomicVerifier', firstDeployment })
    await world.deliver()
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined'])
    expect(await balances()).toEqual([10n * price + payout, 9n * price, verifierPay])
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', settled_by: by(), problem: null }])
    // As much may be staked again.
    expect(await world.allowance()).toBe(price)
    expect(await protocolOf()).toBe(protocolPay)
  })

  test('behavior: an atomic verifier rejects: the stake is lost, and nothing is paid', async () => {
    await start({ kind: 'AtomicVerifier', firstDeployment })
    await world.call(world.verifier, 'setVerdict', false)
    await world.deliver()
    // The consumer has its own back, less the fees, and the stake.
    expect(await balances()).toEqual([9n * price, 10n * price + payout, verifierPay])
    expect(await world.proofs()).toMatchObject([{ state: 'rejected', payout: '0', settled_by: by() }])
    expect(await world.allowance()).toBe(0n)
  })

  test('behavior: an optimistic verifier accepts within its window', async () => {
    await start({ firstDeployment })
    const id = await world.deliver()
    expect(await world.proofs()).toMatchObject([{ state: 'pending', payout: String(payout) }])
    expect(await world.balanceOf(world.nodeWallet)).toBe(10n * price)
    await world.call(world.verifier, 'finalize', id, 1, nodeAddress, true)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([
      { state: 'accepted', payout: String(payout), settled_by: by() },
    ])
    expect(await world.balanceOf(world.nodeWallet)).toBe(10n * price + payout)
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined'])
  })

  test('behavior: an optimistic verifier rejects', async () => {
    await start({ firstDeployment })
    const id = await world.deliver()
    await world.call(world.verifier, 'finalize', id, 1, nodeAddress, false)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'rejected', payout: '0', settled_by: by() }])
    expect(await world.balanceOf(world.nodeWallet)).toBe(9n * price)
  })

  test('behavior: nobody judges: the node finalizes after the deadline, once, and is paid', async () => {
    await start({ firstDeployment })
    await world.deliver()
    await world.warp(week - 3_600)
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined'])
    await world.warp(3_600)
    await world.later(2)
    await world.warp(60)
    await world.warp(60)
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined', 'finalize mined'])
    expect(await world.proofs()).toMatchObject([
      { state: 'finalized', payout: String(payout), settled_by: nodeAddress },
    ])
    expect(await world.balanceOf(world.nodeWallet)).toBe(10n * price + payout)
  })

  test('behavior: another has finalized meanwhile: no transaction of ours', async () => {
    await start({ firstDeployment })
    const id = await world.deliver()
    await world.chain.warp(week)
    await world.call(coordinator(), 'finalizeProofVerification', id, 1, nodeAddress, false)
    await world.warp(1)
    await world.warp(60)
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined'])
    expect(await world.proofs()).toMatchObject([
      {
        state: 'finalized',
        payout: String(payout),
        settled_by: world.chain.deployer.wallet.account.address.toLowerCase(),
      },
    ])
  })
})

describe.for([false, true])('a verifier that always says no; first deployment: %s', firstDeployment => {
  const most = 2
  const asked = 5

  /** The most that the node's wallet has had locked at one time, be it within a transaction. */
  async function mostLocked(): Promise<bigint> {
    const logs = await world.chain.deployer.chain.getContractEvents({
      address: world.nodeWallet,
      abi: walletAbi,
      eventName: 'Escrow',
      fromBlock: 0n,
    })
    let [locked, highest] = [0n, 0n]
    for (const { args } of logs) {
      const { amount = 0n } = args
      locked += args.locked ? amount : -amount
      if (locked > highest) highest = locked
    }
    return highest
  }

  async function booked() {
    const question = { chain: world.chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
    const rows = await readLedgerEntries(world.queue.db, { ...question, limit: 1_000 })
    const sum = (column: 'payment' | 'slashed') =>
      rows.reduce((total, { row }) => total + BigInt(row[column]), 0n)
    return { payment: sum('payment'), slashed: sum('slashed') }
  }

  test.for(['AtomicVerifier', 'OptimisticVerifier'] as const)(
    'behavior: who chooses it is served so many times, with no more at stake at once than is risked: %s',
    async kind => {
      await start({ kind, firstDeployment })
      if (kind === 'AtomicVerifier') await world.call(world.verifier, 'setVerdict', false)
      const node = world.ticker({
        paymentAddress: world.nodeWallet,
        guard: {
          ...openGuard,
          limits: { ...noLimits, rejected: most },
          verifiers: new Map([[by() as Address, new Map([[zeroAddress, price]])]]),
        },
      })
      for (let count = 0; count < asked; count++) await world.prove()
      for (let round = 0; round < 16; round++) {
        await world.chain.warp(3_600)
        world.queue.clock.ms += 11 * 60_000
        await world.look(node)
        await world.compute()
        for (const { subscription, state } of await world.proofs())
          if (state === 'pending')
            await world.call(world.verifier, 'finalize', subscription, 1, nodeAddress, false)
      }
      expect(await world.proofs()).toMatchObject(Array.from({ length: most }, () => ({ state: 'rejected' })))
      expect(await world.deliveries()).toHaveLength(most)
      const reasons = (await world.reasons()).toSorted()
      expect(reasons).toEqual([
        ...Array.from({ length: most }, () => 'begun'),
        ...Array.from({ length: asked - most }, () => 'consumer_limit'),
      ])
      expect(await mostLocked()).toBe(price)
      const lost = BigInt(most) * price
      expect(await world.balanceOf(world.nodeWallet)).toBe(10n * price - lost)
      expect(await booked()).toEqual({ payment: 0n, slashed: lost })
      const owner = world.consumer.address.toLowerCase()
      expect(
        await readConsumer(world.queue.db, { config: { id: world.chain.id, guard: openGuard }, owner }),
      ).toMatchObject({ paid: 0, rejected: most, reverted: 0, dropped: 0 })
    },
  )
})

describe('terms', () => {
  test('behavior: where silence is refunded, the node finalizes, and has its stake back and no pay', async () => {
    await start({})
    const request = {
      containerId: 'echo',
      frequency: 1,
      period: 0,
      redundancy: 1,
      lazy: false,
      paymentToken: zeroAddress,
      paymentAmount: price,
      wallet: world.payer,
      verifier: world.verifier.address,
    }
    const terms = { expiresAt: 0, maxFee: 0, prepaid: false, committed: false, refundOnSilence: true }
    await createdBy(world.chain, world.consumer, { functionName: 'open', args: [request, terms] })
    await world.look(world.node)
    await world.later(2)
    await world.compute()
    await world.later(2)
    await world.warp(week)
    await world.later(2)
    await world.warp(60)
    await world.warp(60)
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined', 'finalize mined'])
    expect(await world.proofs()).toMatchObject([{ state: 'finalized', payout: '0' }])
    expect(await world.balanceOf(world.nodeWallet)).toBe(10n * price)
    expect(await world.allowance()).toBe(price)
  })
})

describe.for([false, true])(
  'an endpoint that is not to be trusted; first deployment: %s',
  firstDeployment => {
    type Log = { address: Hex; topics: Hex[]; data: Hex }

    /** The verdicts on two proofs, the first of them rejected, as the chain tells them. */
    async function judged(): Promise<Log[]> {
      await start({ firstDeployment })
      for (const valid of [false, true]) {
        const id = await world.deliver()
        await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)
      }
      const [topic] = encodeEventTopics({ abi: eip712CoordinatorAbi, eventName: 'ProofVerified' })
      const asked = { address: world.chain.coordinator, topics: [topic], fromBlock: '0x0', toBlock: 'latest' }
      return (await world.request('eth_getLogs', asked)) as Log[]
    }
    const telling = (logs: readonly Log[]) =>
      world.proxy.setOverride(({ method }) => (method === 'eth_getLogs' ? { result: logs } : null))
    const states = async () => (await world.proofs()).map(({ state }) => state)

    test('behavior: it tells of other proofs, and what others say, as well: each has its own verdict', async () => {
      const logs = await judged()
      expect(logs).toHaveLength(2)
      const others = logs.map(log => ({ ...log, address: world.verifier.address }))
      telling([...logs, ...others.toReversed()])
      await world.warp(3_600)
      expect(await states()).toEqual(['rejected', 'accepted'])
    })

    test('behavior: it tells of a verdict that the transaction does not have: that is not believed', async () => {
      const logs = await judged()
      const [rejected, accepted] = logs as [Log, Log]
      telling([
        { ...rejected, data: accepted.data },
        { ...accepted, data: rejected.data },
      ])
      await world.warp(3_600)
      expect(await states()).toEqual(['pending', 'pending'])
      expect((await world.proofs()).map(({ problem }) => problem)).toEqual(
        Array.from({ length: 2 }, () => 'The receipt does not tell of it'),
      )
      world.proxy.setOverride(undefined)
      await world.warp(60)
      expect(await states()).toEqual(['rejected', 'accepted'])
    })
  },
)

describe.for([false, true])('reorganisations; first deployment: %s', firstDeployment => {
  test('behavior: a verdict that is undone is looked for again, and another may come', async () => {
    await start({ firstDeployment })
    const id = await world.deliver()
    await world.mine(3)
    await world.look(world.node)
    await world.call(world.verifier, 'finalize', id, 1, nodeAddress, true)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
    await world.reorganise(2)
    await world.look(world.node, 2)
    expect(await world.proofs()).toMatchObject([{ state: 'pending', settled_by: null }])
    await world.call(world.verifier, 'finalize', id, 1, nodeAddress, false)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'rejected', payout: '0' }])
  })

  test('behavior: a delivery that is undone has no proof until it is mined again', async () => {
    await start({ firstDeployment })
    await world.deliver()
    expect(await world.proofs()).toMatchObject([{ state: 'pending' }])
    await world.reorganise(4)
    await world.look(world.node)
    expect(await world.proofs()).toEqual([])
    await world.later(4)
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.proofs()).toMatchObject([{ state: 'pending', payout: String(payout) }])
  })
})
