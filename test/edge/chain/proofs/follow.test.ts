import { sql } from 'drizzle-orm'
import { encodeEventTopics, getAbiItem, type Hex, padHex, toFunctionSelector, toHex } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import { anvilKey } from '../../../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { nodeAddress } from '../../../support/chain.ts'
import { dieAt } from '../outbox/mortal.ts'
import { type Proving, price, startProving, week } from './proving.ts'

/** How proofs are followed: at what cost, behind a trail, through endpoints that tell little, and wherever the node dies. */

const proofRequests = getAbiItem({ abi: eip712CoordinatorAbi, name: 'proofRequests' })

let world: Proving
const judged = async (id: number, valid: boolean) =>
  await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)
const booked = async () =>
  (await world.queue.db.orm.all<{ kind: string }>(sql`select kind from ledger`)).map(({ kind }) => kind)

describe.for([false, true])('first deployment: %s', firstDeployment => {
  afterEach(async () => await world?.close())

  test('default: while none is due, a pending proof costs a tick nothing', async () => {
    world = await startProving({ firstDeployment })
    await world.deliver()
    expect(await world.proofs()).toMatchObject([{ state: 'pending' }])
    // Deep enough that nothing else is left to look at.
    await world.mine(70)
    await world.warp(7_200)
    await world.node.tick({ poked: false })
    world.proxy.takeRequests()
    world.queue.proxy.takeStatements()
    for (let block = 0; block < 5; block++) {
      await world.mine()
      await world.node.tick({ poked: false })
    }
    expect(world.proxy.takeRequests()).toHaveLength(5)
    expect(world.queue.proxy.takeStatements()).toEqual([])
  })

  test('behavior: behind a trail, what was mined above it is not taken for judged, though blocks share a second', async () => {
    world = await startProving({ firstDeployment })
    const node = world.ticker({ paymentAddress: world.nodeWallet, trailHeadBlocks: 3 })
    const later = async (times: number) => {
      for (let i = 0; i < times; i++) {
        await world.mine()
        await world.look(node)
      }
    }
    const id = await world.prove()
    await later(5)
    await world.chain.warp(20)
    await later(5)
    expect(await world.compute()).toBe(1)
    await world.request('anvil_setBlockTimestampInterval', 0)
    await later(2)
    expect(await world.states()).toEqual(['delivered'])
    expect(await world.proofs()).toMatchObject([{ state: 'pending' }])
    await world.request('anvil_setBlockTimestampInterval', 1)
    await later(6)
    expect(await world.proofs()).toMatchObject([{ state: 'pending', payout: expect.any(String) }])
    await judged(id, true)
    await later(1)
    await world.chain.warp(3_600)
    await later(5)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted' }])
  })

  test('behavior: a verdict of long ago is found, a part of the blocks at a time', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    // More than one look takes; a chain that is asked for many at once takes its time.
    for (let part = 0; part < 5; part++) await world.mine(220)
    await judged(id, false)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'rejected', payout: '0' }])
  })

  test('behavior: an endpoint that does not tell logs leaves it pending, and says so', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judged(id, true)
    world.proxy.setOverride(({ method }) =>
      method === 'eth_getLogs' ? { error: { code: -32_005, message: 'range too wide' } } : null,
    )
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([
      { state: 'pending', problem: 'The chain does not tell its logs' },
    ])
    world.proxy.setOverride(() => null)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
  })

  const noLogs = () =>
    world.proxy.setOverride(({ method }) => (method === 'eth_getLogs' ? { result: [] } : null))
  const inVain = { state: 'pending', problem: 'No log tells of its verdict' }

  const vainSeconds = [30, 60, 120, 240, 480, 960, 1_920]

  test('behavior: logs that do not have it are looked through again for an hour, and when its week is over; then it is settled, by nobody knows whom', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judged(id, true)
    noLogs()
    await world.warp(3_600)
    for (const seconds of vainSeconds) {
      expect(await world.proofs()).toMatchObject([inVain])
      await world.warp(seconds)
    }
    await world.warp(week / 2)
    world.proxy.takeRequests()
    world.queue.proxy.takeStatements()
    await world.mine()
    await world.node.tick({ poked: false })
    expect(world.proxy.takeRequests()).toHaveLength(1)
    expect(world.queue.proxy.takeStatements()).toEqual([])
    expect(await world.proofs()).toMatchObject([inVain])
    await world.warp(week / 2)
    expect(await world.proofs()).toMatchObject([{ state: 'settled', settled_by: null, problem: null }])
    expect(await booked()).not.toContain('verdict')
  })

  test('behavior: logs that come when its week is over, of a verdict of its first minutes, are booked', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judged(id, true)
    noLogs()
    await world.warp(3_600)
    for (const seconds of vainSeconds) await world.warp(seconds)
    world.proxy.setOverride(() => null)
    await world.warp(week)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
    expect(await booked()).toContain('verdict')
  })

  test('behavior: logs that nobody tells when its week is over are asked for until somebody does', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judged(id, true)
    noLogs()
    await world.warp(3_600)
    for (const seconds of vainSeconds) await world.warp(seconds)
    world.proxy.setOverride(({ method }) =>
      method === 'eth_getLogs' ? { error: { code: -32_603, message: 'internal error' } } : null,
    )
    await world.warp(week)
    expect(await world.proofs()).toMatchObject([inVain])
    world.proxy.setOverride(() => null)
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
    expect(await booked()).toContain('verdict')
  })

  /** That nothing waits. */
  const noRequests = () =>
    world.proxy.setOverride(({ method, params: [call] }) => {
      const { data } = (call ?? {}) as { data?: string }
      return method === 'eth_call' && data?.startsWith(toFunctionSelector(proofRequests)) === true
        ? { result: `0x${'0'.repeat(3 * 64)}` }
        : null
    })

  test('behavior: one of three endpoints that says that it does not wait is not believed, once no log tells why', async () => {
    world = await startProving({ firstDeployment })
    await world.deliver()
    const before = await world.balanceOf(world.nodeWallet)
    noRequests()
    const { rpcUrl } = world.chain
    const node = world.ticker({ paymentAddress: world.nodeWallet, others: [rpcUrl, `${rpcUrl}/?other`] })
    for (const seconds of [3_600, ...vainSeconds, 3_600]) {
      await world.chain.warp(seconds)
      await world.look(node)
    }
    expect(await world.proofs()).toMatchObject([{ state: 'pending', problem: null }])
    expect(await world.queue.db.orm.all(sql`select proofs from stake_sums`)).toEqual([{ proofs: 1 }])
    await world.chain.warp(week)
    for (const seconds of [1, 60, 60]) {
      await world.look(node)
      await world.chain.warp(seconds)
    }
    await world.look(node)
    expect(await world.proofs()).toMatchObject([{ state: 'finalized', settled_by: nodeAddress }])
    expect(await world.balanceOf(world.nodeWallet)).toBeGreaterThan(before)
  })

  test.each([
    ['which it was seen to do before', true],
    ['from the beginning', false],
  ])(
    'behavior: the only endpoint says for an hour that it does not wait, %s: it is finalized when its week is over',
    async (_, wasSeen) => {
      world = await startProving({ firstDeployment })
      if (!wasSeen) noRequests()
      await world.deliver()
      noRequests()
      for (const seconds of [3_600, ...vainSeconds, ...vainSeconds]) await world.warp(seconds)
      expect(await world.proofs()).toMatchObject([inVain])
      expect(await world.queue.db.orm.all(sql`select proofs from stake_sums`)).toEqual([{ proofs: 1 }])
      world.proxy.setOverride(() => null)
      await world.warp(week)
      await world.warp(60)
      await world.warp(60)
      expect(await world.proofs()).toMatchObject([{ state: 'finalized', settled_by: nodeAddress }])
    },
  )

  test.each([100, 1_300])(
    'behavior: logs that come later are found, and booked, behind %i blocks',
    async blocks => {
      world = await startProving({ firstDeployment })
      const id = await world.deliver()
      for (let left = blocks; left > 0; left -= 260) await world.mine(Math.min(left, 260))
      await judged(id, true)
      noLogs()
      await world.warp(3_600)
      await world.warp(3_600)
      await world.warp(3_600)
      expect(await world.proofs()).toMatchObject([inVain])
      world.proxy.setOverride(() => null)
      await world.warp(3_600)
      await world.warp(1)
      await world.warp(1)
      expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
      expect(await booked()).toContain('verdict')
    },
  )

  test('behavior: where one endpoint has no logs, another one is asked at once', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judged(id, true)
    noLogs()
    const node = world.ticker({ paymentAddress: world.nodeWallet, others: [world.chain.rpcUrl] })
    await world.chain.warp(3_600)
    await world.look(node)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
  })

  test('behavior: where one endpoint has no logs of long ago, another one is asked when it is looked through again', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    for (let part = 0; part < 3; part++) await world.mine(220)
    await judged(id, true)
    noLogs()
    const node = world.ticker({ paymentAddress: world.nodeWallet, others: [world.chain.rpcUrl] })
    await world.chain.warp(3_600)
    await world.look(node)
    expect(await world.proofs()).toMatchObject([inVain])
    await world.chain.warp(31)
    await world.look(node)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
  })

  test('behavior: where one endpoint does not tell its receipt, another one is asked', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await judged(id, true)
    world.proxy.setOverride(({ method }) =>
      method === 'eth_getTransactionReceipt' ? { result: null } : null,
    )
    const node = world.ticker({ paymentAddress: world.nodeWallet, others: [world.chain.rpcUrl] })
    await world.chain.warp(3_600)
    await world.look(node)
    expect(await world.proofs()).toMatchObject([{ state: 'accepted', problem: null }])
  })

  /** The verdict is given in one block, and another one follows. `journal`: what is noted of that; its top is the chain's, so that nobody looks further down. */
  async function judgedBelow(id: number, journal?: Hex): Promise<{ number: bigint; hash: Hex }> {
    await judged(id, false)
    const { hash, number } = await world.chain.deployer.chain.getBlock()
    await world.mine()
    const next = await world.chain.deployer.chain.getBlock()
    for (const [height, noted] of [
      [number, journal ?? hash],
      [next.number, next.hash],
    ])
      await world.queue.db.orm.run(
        sql`insert into chain_blocks (chain, number, hash) values (${world.chain.id}, ${Number(height)}, ${noted})`,
      )
    return { number, hash }
  }
  const otherBlock = 'The journal has another block than its verdict is in'

  test('behavior: where the journal has another block than the chain, below its top, it is rewound, and the verdict written', async () => {
    world = await startProving({ firstDeployment })
    await judgedBelow(await world.deliver(), padHex('0x77'))
    await world.warp(3_600)
    expect(await world.proofs()).toMatchObject([{ state: 'pending', problem: otherBlock }])
    expect(await booked()).not.toContain('verdict')
    expect(world.events()).toContain('Chain rewound')
    await world.warp(31)
    expect(await world.proofs()).toMatchObject([{ state: 'rejected', problem: null }])
    expect((await booked()).filter(kind => kind === 'verdict')).toHaveLength(1)
    expect(await world.states()).toEqual(['delivered'])
  })

  test('behavior: a verdict in a block that an endpoint has, and others do not, is not written, and the journal stays', async () => {
    world = await startProving({ firstDeployment })
    const { number, hash } = await judgedBelow(await world.deliver())
    const range = { address: world.chain.coordinator, fromBlock: toHex(number), toBlock: toHex(number) }
    const topics = encodeEventTopics({ abi: eip712CoordinatorAbi, eventName: 'ProofVerified' })
    const logs = (await world.request('eth_getLogs', { ...range, topics })) as { transactionHash: Hex }[]
    const receipt = await world.request('eth_getTransactionReceipt', logs[0]?.transactionHash)
    const block = await world.request('eth_getBlockByNumber', toHex(number), false)
    const undone = (told: unknown) => ({
      result: JSON.parse(JSON.stringify(told).replaceAll(hash, padHex('0x77'))),
    })
    world.proxy.setOverride(({ method, params: [asked] }) => {
      if (method === 'eth_getLogs') return undone(logs)
      if (method === 'eth_getTransactionReceipt') return undone(receipt)
      return method === 'eth_getBlockByNumber' && asked === toHex(number) ? undone(block) : null
    })
    const node = world.ticker({ paymentAddress: world.nodeWallet, others: [world.chain.rpcUrl] })
    await world.chain.warp(3_600)
    await world.look(node)
    expect(await world.proofs()).toMatchObject([{ state: 'pending', problem: otherBlock }])
    expect(world.events()).not.toContain('Chain rewound')
    world.proxy.setOverride(() => null)
    await world.warp(31)
    expect(await world.proofs()).toMatchObject([{ state: 'rejected', problem: null }])
  })

  test('behavior: an answer is kept until its proof is settled, and then they are forgotten together', async () => {
    world = await startProving({ firstDeployment })
    const prune = async () =>
      await pruneChain(world.queue.db, {
        chain: world.chain.id,
        head: 1_000,
        reorgDepth: 0,
        retentionMs: 0,
        waitMs: 1e12,
      })
    const id = await world.deliver()
    await world.mine(70)
    await world.look(world.node)
    expect(await world.states()).toEqual(['final'])
    await prune()
    expect([await world.states(), (await world.proofs()).length]).toEqual([['final'], 1])
    await judged(id, true)
    await world.warp(3_600)
    await prune()
    expect([await world.states(), await world.proofs()]).toEqual([[], []])
  })

  test('behavior: a finalization that a reorganisation undoes is sent again', async () => {
    world = await startProving({ firstDeployment })
    await world.deliver()
    await world.mine(2)
    await world.warp(week)
    await world.later()
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([{ state: 'finalized' }])
    await world.reorganise(3)
    await world.look(world.node)
    expect(await world.proofs()).toMatchObject([{ state: 'pending' }])
    await world.warp(week)
    await world.later(2)
    await world.warp(60)
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([{ state: 'finalized' }])
    expect((await world.sent()).filter(sent => sent.startsWith('finalize'))).toEqual(['finalize mined'])
  })

  test('behavior: by two that look at the same time it is finalized once', async () => {
    world = await startProving({ firstDeployment })
    await world.deliver()
    await world.chain.warp(week)
    await world.request('evm_setAutomine', false)
    const others = [1, 2, 3].map(() => world.ticker({ paymentAddress: world.nodeWallet }))
    await Promise.all(others.map(async node => await world.look(node)))
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined', 'finalize sent'])
    await world.request('evm_setAutomine', true)
    await world.later()
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([{ state: 'finalized', settled_by: nodeAddress }])
  })

  test('behavior: a race that is lost on the chain costs a revert, and is known to be lost', async () => {
    world = await startProving({ firstDeployment })
    const id = await world.deliver()
    await world.chain.warp(week)
    await world.request('evm_setAutomine', false)
    await world.look(world.node)
    const { wallet } = world.chain.deployer
    await wallet.writeContract({
      address: world.chain.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'finalizeProofVerification',
      args: [id, 1, nodeAddress, false],
      gas: 300_000n,
      maxPriorityFeePerGas: 100_000_000_000n,
      maxFeePerGas: 200_000_000_000n,
    })
    await world.request('evm_mine')
    await world.request('evm_setAutomine', true)
    await world.later()
    await world.warp(60)
    expect(await world.proofs()).toMatchObject([
      { state: 'finalized', settled_by: wallet.account.address.toLowerCase() },
    ])
    const [lost] = await world.queue.db.orm.all<{ status: number; gas: number }>(
      sql`select status, gas_used as gas from transactions where kind = 'finalize'`,
    )
    expect(lost?.status).toBe(0)
    expect(lost?.gas).toBeLessThanOrEqual(30_000)
    await world.warp(3_600)
    expect(await world.sent()).toEqual(['approve mined', 'deliver mined', 'finalize mined'])
  })

  test('behavior: with another key, what the old one has proven is finalized all the same', async () => {
    world = await startProving({ firstDeployment })
    await world.deliver()
    const other = createSigner(anvilKey(9))
    const node = world.ticker({ paymentAddress: world.nodeWallet, signer: other })
    await world.chain.warp(week)
    await world.look(node)
    for (const seconds of [1, 60]) {
      await world.chain.warp(seconds)
      await world.look(node)
    }
    expect(await world.proofs()).toMatchObject([{ state: 'finalized', settled_by: other.address }])
    expect(await world.balanceOf(world.nodeWallet)).toBeGreaterThan(10n * price)
  })

  test('behavior: it is finalized once, wherever the node dies meanwhile', async () => {
    world = await startProving({ firstDeployment })
    await world.chain.anvil.setBalance({ address: world.payer, value: 1_000n * price })
    const options = { paymentAddress: world.nodeWallet }
    let hasDied = true
    let steps = 0
    for (; hasDied; steps++) {
      await world.deliver()
      await world.chain.warp(week)
      world.lines.length = 0
      await world.ticker({ ...options, gate: dieAt(steps, 'before') }).tick({ poked: true })
      hasDied = world.events().includes('Tick failed')
      const node = world.ticker(options)
      for (const seconds of [1, 61, 61, 61]) {
        await world.look(node)
        await world.chain.warp(seconds)
      }
      await world.look(node)
      // Those of long ago are forgotten by now.
      const states = new Set((await world.proofs()).map(({ state }) => state))
      expect([...states], `step ${steps}`).toEqual(['finalized'])
      // The approval, and for each the delivery and this.
      const sent = await world.chain.deployer.chain.getTransactionCount({ address: nodeAddress })
      expect(sent, `step ${steps}`).toBe(1 + 2 * (steps + 1))
    }
    expect(steps).toBeGreaterThan(10)
  }, 120_000)
})
