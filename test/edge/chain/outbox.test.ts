import { sql } from 'drizzle-orm'
import { type Hex, parseGwei, parseTransaction, toFunctionSelector, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Signer } from '../../../src/edge/chain/chain.ts'
import { words } from '../../../src/edge/chain/refusal.ts'
import { createSigner } from '../../../src/edge/chain/signer.ts'
import type { ChainTick } from '../../../src/edge/chain/tick/tick.ts'
import { anvilKey } from '../../../src/local/chain/start.ts'
import { recurringAbi, recurringBytecode } from '../../../src/local/consumers/recurring.ts'
import { createdBy, nodeAddress, nodeKey } from '../../support/chain.ts'
import type { Fault } from '../../support/rpc-proxy.ts'
import { startTicking, type Ticking } from './ticking.ts'

let world: Ticking

/** Picks up what was asked, and computes it. */
async function computed(node: ChainTick): Promise<void> {
  await world.look(node)
  await world.compute()
}

/** A consumer whose interval begins in an hour. */
async function startRecurring(): Promise<void> {
  const { chain } = world
  const args = [chain.registry, chain.deployer.wallet.account.address]
  const recurring = await world.deploy({ bytecode: recurringBytecode, abi: recurringAbi, args })
  await createdBy(chain, recurring, { functionName: 'start', args: ['echo'] })
}

const transactions = async () =>
  await world.queue.db.orm.all<{
    nonce: number
    state: string
    kind: string
    problem: string | null
    raws: number
  }>(sql`
    select nonce, state, kind, problem, (select count(*) from raws where tx = t.id) as raws from transactions t order by nonce, created_at`)

/** Transactions wait until a block is mined by hand. */
const holdBlocks = async () => await world.request('evm_setAutomine', false)

const onSend =
  (fault: Fault) =>
  ({ calls }: { calls: { method: string }[] }) =>
    calls.some(({ method }) => method === 'eth_sendRawTransaction') ? fault : null

async function lastHash(): Promise<Hex> {
  const [row] = await world.queue.db.orm.all<{ hash: Hex }>(
    sql`select hash from raws order by created_at desc, seq desc limit 1`,
  )
  if (!row) throw new Error('nothing was signed')
  return row.hash
}

// What is about words and times alone is the same for both deployments, and looked at once.
describe.each([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startTicking({ firstDeployment })
  })
  afterEach(async () => await world?.close())

  test('behavior: two tickers without a lease deliver each answer once, and take each nonce once', async () => {
    const nodes = [world.ticker(), world.ticker(), world.ticker()]
    const [first] = nodes as [ChainTick]
    const ids: number[] = []
    for (let i = 0; i < 15; i++) ids.push(await world.ask())
    await Promise.all(nodes.map(node => world.look(node)))
    await computed(first)
    for (let round = 0; round < 4; round++) await Promise.all(nodes.map(node => world.look(node)))
    expect(await world.fulfilled()).toEqual(ids)
    const sent = await transactions()
    expect(new Set(sent.map(({ nonce }) => nonce)).size).toBe(sent.length)
    expect(sent.every(({ raws }) => raws > 0)).toBe(true)
    expect(new Set((await world.deliveries()).map(({ state }) => state))).toEqual(new Set(['delivered']))
  })

  describe('a crash', () => {
    test('behavior: after the insert, before the broadcast: the stored transaction is sent', async () => {
      const id = await world.ask()
      const first = world.ticker()
      await computed(first)
      world.proxy.setFault(onSend({ kind: 'status', status: 502 }))
      await world.look(first)
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'signed' }])
      const hash = await lastHash()
      world.proxy.setFault(() => null)
      const second = world.ticker()
      await world.look(second)
      expect(await world.fulfilled()).toEqual([id])
      await world.look(second)
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined', raws: 1 }])
      expect(await lastHash()).toBe(hash)
    })

    test('behavior: after the broadcast, before it is written down: it is found as mined', async () => {
      const id = await world.ask()
      const first = world.ticker()
      await computed(first)
      // The chain has it; the node is not told.
      world.proxy.setFault(onSend({ kind: 'cut' }))
      await world.look(first)
      expect(await world.fulfilled()).toEqual([id])
      world.proxy.setFault(() => null)
      await world.mine()
      await world.look(world.ticker())
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined' }])
      expect(await world.deliveries()).toMatchObject([{ state: 'delivered' }])
      expect(await world.fulfilled()).toEqual([id])
    })

    test('behavior: nothing takes a nonce behind one that no endpoint takes', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      world.proxy.setFault(onSend({ kind: 'status', status: 502 }))
      await world.look(node)
      await world.ask()
      await computed(node)
      await world.look(node)
      expect(await transactions()).toHaveLength(1)
      expect(node.report().signer.blocked).toBeTruthy()
      world.proxy.setFault(() => null)
      await world.mine()
      await world.look(node, 3)
      expect(await world.fulfilled()).toEqual([1, 2])
    })
  })

  describe('money', () => {
    test('behavior: without funds nothing takes a nonce; with funds it goes on', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await world.chain.anvil.setBalance({ address: nodeAddress, value: 1000n })
      await world.look(node)
      expect(await transactions()).toEqual([])
      expect(node.report().signer).toMatchObject({
        balance: '1000',
        blocked: expect.stringContaining('insufficient_funds'),
      })
      await world.chain.anvil.setBalance({ address: nodeAddress, value: 10n ** 18n })
      await world.look(node, 2)
      expect(await world.fulfilled()).toEqual([1])
      expect(node.report().signer.blocked).toBeNull()
    })

    test('behavior: above the ceiling nothing is sent; when the market falls it is', async () => {
      await world.ask()
      const node = world.ticker({ gas: { maxFeePerGas: parseGwei('20') } })
      await computed(node)
      await world.request('anvil_setNextBlockBaseFeePerGas', toHex(parseGwei('50')))
      await world.mine()
      await world.look(node)
      expect(await transactions()).toEqual([])
      expect(node.report().signer.blocked).toContain('market')
      await world.request('anvil_setNextBlockBaseFeePerGas', toHex(parseGwei('1')))
      await world.mine()
      await world.look(node)
      expect(await world.fulfilled()).toEqual([1])
    })

    /** What nodes say of transactions that may cost more than this, in wei; and of those with more gas. */
    const within = ({ cost = 10n ** 30n, gas: most = 10n ** 9n }: { cost?: bigint; gas?: bigint }): void =>
      world.proxy.setFault(({ calls }) => {
        for (const { method, params } of calls) {
          if (method !== 'eth_sendRawTransaction') continue
          const { gas = 0n, maxFeePerGas = 0n } = parseTransaction(params[0] as Hex)
          if (gas * maxFeePerGas > cost)
            return {
              kind: 'error',
              code: -32_000,
              message: 'tx fee (1.07 ether) exceeds the configured cap (1.00 ether)',
            }
          if (gas > most) return { kind: 'error', code: -32_000, message: 'exceeds block gas limit' }
        }
        return null
      })
    const marketAt = async (gwei: string) => {
      await world.request('anvil_setNextBlockBaseFeePerGas', toHex(parseGwei(gwei)))
      await world.mine()
    }

    test('behavior: what no node takes for so much is offered for less, once the market asks less', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await marketAt('40')
      within({ cost: 10n ** 15n })
      await world.look(node, 3)
      expect(await transactions()).toMatchObject([{ state: 'signed', problem: words.too_dear }])
      await marketAt('1')
      await world.look(node, 2)
      expect(await world.fulfilled()).toEqual([1])
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined' }])
    })

    test('behavior: what the signer cannot pay for any more is offered for what it can', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await marketAt('40')
      world.proxy.setFault(onSend({ kind: 'status', status: 502 }))
      await world.look(node)
      world.proxy.setFault(() => null)
      await world.chain.anvil.setBalance({ address: nodeAddress, value: 10n ** 15n })
      await world.look(node, 2)
      expect(await transactions()).toMatchObject([{ state: 'signed', problem: words.unpaid }])
      await marketAt('1')
      await world.look(node, 2)
      expect(await world.fulfilled()).toEqual([1])
    })

    test.skipIf(firstDeployment)(
      'behavior: a batch that has more gas than a block is undone, and its answers go each by itself',
      async () => {
        const ids = [await world.ask(), await world.ask(), await world.ask(), await world.ask()]
        const node = world.ticker()
        await computed(node)
        within({ gas: 400_000n })
        await world.look(node, 3)
        expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined', kind: 'cancel' }])
        expect(await world.deliveries()).toMatchObject(ids.map(() => ({ state: 'computed', tries: 1 })))
        world.queue.clock.ms += 2_000
        await world.look(node, 2)
        expect(await world.fulfilled()).toEqual(ids)
        expect(await transactions()).toHaveLength(5)
      },
    )

    test('behavior: an answer that has more gas than a block by itself is given up after three times', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      within({ gas: 100_000n })
      for (let i = 0; i < 3; i++) {
        await world.look(node, 3)
        world.queue.clock.ms += 10_000
      }
      expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'gas_refused', tries: 3 }])
      expect(await transactions()).toMatchObject([{ kind: 'cancel' }, { kind: 'cancel' }, { kind: 'cancel' }])
    })

    test('behavior: an answer that needs more gas than a transaction may have takes no nonce', async () => {
      await world.ask()
      const node = world.ticker({ gas: { maxGasLimit: 60_000 } })
      await computed(node)
      await world.look(node)
      expect(await transactions()).toEqual([])
      expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'output_too_large' }])
    })
  })

  describe('a transaction that is not mined', () => {
    test('behavior: is sent again for at least an eighth more, and mined once', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await holdBlocks()
      await world.look(node)
      await world.request('anvil_dropTransaction', await lastHash())
      await world.mine(3)
      await world.look(node)
      const fees = await world.queue.db.orm.all<{ max: string; tip: string }>(
        sql`select max_fee as max, priority_fee as tip from raws order by seq`,
      )
      expect(fees).toHaveLength(2)
      const [before, after] = fees as [{ max: string; tip: string }, { max: string; tip: string }]
      expect(BigInt(after.max) * 1000n).toBeGreaterThanOrEqual(BigInt(before.max) * 1125n)
      expect(BigInt(after.tip) * 1000n).toBeGreaterThanOrEqual(BigInt(before.tip) * 1125n)
      await world.mine()
      await world.look(node)
      expect(await world.fulfilled()).toEqual([1])
      expect(await world.deliveries()).toMatchObject([{ state: 'delivered' }])
    })

    test('behavior: another transaction has taken the nonce: the answer is signed anew', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await holdBlocks()
      await world.look(node)
      await world.request('anvil_dropTransaction', await lastHash())
      const foreign = await privateKeyToAccount(nodeKey).signTransaction({
        type: 'eip1559',
        chainId: world.chain.id,
        nonce: 0,
        to: nodeAddress,
        value: 1n,
        gas: 21_000n,
        maxFeePerGas: parseGwei('30'),
        maxPriorityFeePerGas: parseGwei('1'),
      })
      await world.request('eth_sendRawTransaction', foreign)
      for (let i = 0; i < 4; i++) {
        await world.mine()
        await world.look(node)
      }
      // Blocks alone do not tell: the receipt may come yet.
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'sent' }])
      world.queue.clock.ms += 10_000
      for (let i = 0; i < 3; i++) {
        await world.mine()
        await world.look(node)
      }
      expect(await transactions()).toMatchObject([
        { nonce: 0, state: 'displaced' },
        { nonce: 1, state: 'mined' },
      ])
      expect(await world.fulfilled()).toEqual([1])
      expect(await world.deliveries()).toMatchObject([{ state: 'delivered' }])
    })

    test('behavior: receipts that come blocks later than the count do not have it sent again', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await world.look(node)
      world.proxy.setOverride(({ method }) =>
        method === 'eth_getTransactionReceipt' ? { result: null } : null,
      )
      for (let i = 0; i < 4; i++) {
        await world.mine()
        await world.look(node)
        world.queue.clock.ms += 2_000
      }
      world.proxy.setOverride(() => null)
      await world.mine()
      await world.look(node)
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined', raws: 1 }])
      expect(await world.deliveries()).toMatchObject([{ state: 'delivered' }])
    })

    test('behavior: given up, as its receipt is not told for long: it is delivered and booked once it is', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await world.look(node)
      const silent: Parameters<typeof world.proxy.setOverride>[0] = ({ method }) =>
        method === 'eth_getTransactionReceipt' ? { result: null } : null
      world.proxy.setOverride(silent)
      for (let i = 0; i < 4; i++) {
        await world.mine()
        await world.look(node)
        world.queue.clock.ms += 10_000
      }
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'displaced', raws: 1 }])
      expect(await world.deliveries()).toMatchObject([{ state: 'dropped', reason: 'IntervalCompleted' }])
      world.proxy.setOverride(() => null)
      await world.mine()
      await world.look(node)
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined' }])
      expect(await world.deliveries()).toMatchObject([{ state: 'delivered', reason: null }])
      expect(await world.queue.db.orm.all(sql`select kind, subscription from ledger`)).toEqual([
        { kind: 'answer', subscription: 1 },
      ])
      expect(await world.fulfilled()).toEqual([1])
    })

    test('behavior: what would answer nobody any more is replaced by nothing, and its nonce is used up', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      await holdBlocks()
      await world.look(node)
      await world.request('anvil_dropTransaction', await lastHash())
      await world.queue.db.orm.run(sql`update deliveries set state = 'dropped', reason = 'vanished'`)
      await world.mine()
      await world.look(node)
      expect(await transactions()).toMatchObject([{ nonce: 0, kind: 'cancel', raws: 2 }])
      await world.mine()
      await world.look(node)
      expect(await transactions()).toMatchObject([{ nonce: 0, state: 'mined', kind: 'cancel' }])
      expect(await world.fulfilled()).toEqual([])
    })
  })

  describe('an endpoint that falls behind after it has told its head', () => {
    const deliverCompute = toFunctionSelector('deliverCompute(uint32,uint32,bytes,bytes,bytes,address)')
    /** In what simulates a delivery. */
    const behind = ({ calls }: { calls: { method: string }[] }): Fault | null =>
      JSON.stringify(calls).includes(deliverCompute) ? { kind: 'stale', blocks: 2 } : null

    test('behavior: does not have an answer given up, because it does not know of the question', async () => {
      await world.ask()
      const node = world.ticker()
      await computed(node)
      world.proxy.setFault(behind)
      await world.look(node)
      expect(await world.deliveries()).toMatchObject([{ state: 'computed', tries: 0 }])
      world.proxy.setFault(() => null)
      await world.look(node)
      expect(await world.fulfilled()).toEqual([1])
    })

    test('behavior: does not have a question left alone', async () => {
      await world.ask()
      const node = world.ticker()
      world.proxy.setFault(behind)
      await world.look(node)
      world.proxy.setFault(() => null)
      await computed(node)
      await world.look(node)
      expect(await world.fulfilled()).toEqual([1])
    })
  })

  test.skipIf(firstDeployment)(
    'behavior: an answer that endpoints refuse in words of their own waits; it is no try, and holds nothing up',
    async () => {
      const [first, second] = [await world.ask(), await world.ask()]
      const node = world.ticker()
      await computed(node)
      const isFirst = (data: unknown) =>
        typeof data === 'string' && Number(`0x${data.slice(10, 74)}`) === first
      world.proxy.setOverride(({ method, params }) =>
        method === 'eth_estimateGas' && isFirst(Object(params[0]).data)
          ? { error: { code: -32_010, message: 'not on plan s3cret, see https://rpc.test/s3cret' } }
          : null,
      )
      await world.look(node, 3)
      expect(await world.fulfilled()).toEqual([second])
      expect(await world.deliveries()).toMatchObject([
        { state: 'computed', reason: 'unclear', tries: 0 },
        { state: 'delivered', reason: null },
      ])
      world.proxy.setOverride(() => null)
      world.queue.clock.ms += 30_000
      await world.look(node)
      await expect.poll(world.fulfilled).toEqual([first, second])
    },
  )

  test.skipIf(firstDeployment)(
    'behavior: what endpoints and signers say themselves is neither kept nor shown',
    async () => {
      await world.ask()
      const quick = createSigner(nodeKey)
      let signs = false
      const node = world.ticker({
        signer: {
          address: quick.address,
          async signTransaction(transaction) {
            if (!signs) throw new Error('https://kms.test/s3cret does not sign')
            return await quick.signTransaction(transaction)
          },
        },
      })
      const reports: unknown[] = []
      const lookAt = async () => {
        await world.look(node)
        world.queue.clock.ms += 60_000
        reports.push(node.report())
      }
      await computed(node)
      await lookAt()
      expect(node.report().problem).toBe('Error: … does not sign')
      signs = true
      await holdBlocks()
      let said = { code: 0, message: '' }
      let refused = ''
      world.proxy.setOverride(({ method }) => (method === refused ? { error: said } : null))
      const keyed = 'see https://rpc.test/s3cret, api key: s3cret'
      for (const [method, code, message] of [
        ['eth_estimateGas', 3, `execution reverted: ${keyed}`],
        ['eth_estimateGas', -32_000, keyed],
        ['eth_getBalance', -32_000, keyed],
        ['eth_sendRawTransaction', -32_000, keyed],
        ['eth_sendRawTransaction', -32_000, `insufficient funds, ${keyed}`],
      ] as const) {
        said = { code, message }
        refused = method
        await lookAt()
      }
      expect(await transactions()).toMatchObject([{ state: 'signed', problem: words.unpaid }])
      const tables = ['subscriptions', 'deliveries', 'transactions', 'jobs']
      const rows = await Promise.all(
        tables.map(table => world.queue.db.orm.all(sql.raw(`select * from ${table}`))),
      )
      expect(JSON.stringify({ rows, reports })).not.toContain('s3cret')
      expect(JSON.stringify(world.lines.filter(({ event }) => event !== 'Tick failed'))).not.toContain(
        's3cret',
      )
    },
  )

  test('behavior: an endpoint that has nothing at the block does not say what gas an answer takes', async () => {
    await world.ask()
    const node = world.ticker()
    await computed(node)
    const estimates = ({ calls }: { calls: { method: string }[] }) =>
      calls.some(({ method }) => method === 'eth_estimateGas')
    world.proxy.setFault(request => (estimates(request) ? { kind: 'older', block: 0 } : null))
    await world.look(node)
    expect(await transactions()).toEqual([])
    expect(await world.deliveries()).toMatchObject([{ state: 'computed', tries: 0 }])
    world.proxy.setFault(() => null)
    await expect
      .poll(async () => {
        await world.look(node)
        return await world.fulfilled()
      })
      .toEqual([1])
  })

  test('behavior: what was signed with another key is looked after, and told of', async () => {
    const id = await world.ask()
    const first = world.ticker()
    await computed(first)
    await holdBlocks()
    await world.look(first)
    const second = world.ticker({ signer: createSigner(anvilKey(9)) })
    await world.look(second)
    expect(second.report().pending).toMatchObject({ sending: 1, left: 1, mined: 0 })
    await world.mine()
    await world.look(second)
    expect(await world.fulfilled()).toEqual([id])
    expect(second.report().pending).toMatchObject({ sending: 0, left: 0, mined: 1 })
  })

  test('behavior: a signer that takes its time', async () => {
    const quick = createSigner(nodeKey)
    const slow: Signer = {
      address: quick.address,
      async signTransaction(transaction) {
        await new Promise(resolve => setTimeout(resolve, 200))
        return await quick.signTransaction(transaction)
      },
    }
    const ids: number[] = []
    for (let i = 0; i < 12; i++) ids.push(await world.ask())
    const nodes = [world.ticker({ signer: slow }), world.ticker({ signer: slow })]
    await computed(nodes[0] as ChainTick)
    for (let round = 0; round < 3; round++) await Promise.all(nodes.map(node => world.look(node)))
    expect(await world.fulfilled()).toEqual(ids)
  })

  test.runIf(firstDeployment)('behavior: without batches they are answered one by one', async () => {
    const ids = [await world.ask(), await world.ask(), await world.ask()]
    const node = world.ticker()
    await computed(node)
    await world.look(node, 2)
    expect(await world.fulfilled()).toEqual(ids)
    expect(await transactions()).toHaveLength(3)
  })

  test.skipIf(firstDeployment)(
    'behavior: a consumer that refuses the answer is tried three times, and then given up with its reason',
    async () => {
      // It wants two byte strings, and gets one text.
      await startRecurring()
      await world.chain.warp(3_600)
      const node = world.ticker()
      await computed(node)
      for (let i = 0; i < 4; i++) {
        await world.look(node)
        world.queue.clock.ms += 60_000
      }
      expect(await world.deliveries()).toMatchObject([{ state: 'dropped', tries: 2 }])
      expect(await transactions()).toEqual([])
      expect(world.lines.filter(({ event }) => event === 'Did not send tx')).toHaveLength(3)
    },
  )

  test.skipIf(firstDeployment)(
    'behavior: an answer that the next block is too late for is not sent, whatever the chain’s rhythm',
    async () => {
      await startRecurring()
      const node = world.ticker()
      await world.look(node)
      await world.chain.warp(3_600 - 12)
      for (let block = 0; block < 5; block++) {
        await world.chain.warp(12)
        await world.look(node)
      }
      const [begun] = await world.queue.db.orm.all<{ deadline: number }>(
        sql`select deadline from deliveries order by interval limit 1`,
      )
      const head = await world.chain.deployer.chain.getBlock()
      // Six seconds are left, and the next block comes in twelve.
      await world.queue.db.orm.run(
        sql`update deliveries set deadline = ${Number(head.timestamp) + 6} where deadline = ${begun?.deadline}`,
      )
      await world.compute()
      await world.look(node)
      expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
    },
  )

  test('behavior: an answer that comes after its interval is not sent', async () => {
    await startRecurring()
    await world.chain.warp(3_600)
    const node = world.ticker()
    await world.look(node)
    await world.chain.warp(3_600)
    await world.compute()
    await world.look(node)
    expect((await world.deliveries())[0]).toMatchObject({ state: 'dropped', reason: 'too_late' })
    expect(await transactions()).toEqual([])
  })
})
