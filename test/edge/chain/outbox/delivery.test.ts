import { sql } from 'drizzle-orm'
import { type Hex, parseTransaction, zeroHash } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Signer } from '../../../../src/edge/chain/chain.ts'
import type { Rpc, RpcAnswer } from '../../../../src/edge/chain/rpc.ts'
import { deliverCall } from '../../../../src/edge/chain/simulate.ts'
import { anvilAccount, createDeployer } from '../../../../src/local/chain/start.ts'
import { type AnvilWorld, startAnvilWorld } from './anvil-world.ts'
import { firstFeatures, gasPolicy, signer } from './node.ts'

/** What is sent, when, and for how much, on a real chain. */

let world: AnvilWorld

const rows = () => world.outbox.deliveries()
const states = async () => (await rows()).map(({ state }) => state)
const kinds = async () => (await world.outbox.transactions()).map(({ kind, state }) => [kind, state])
const setBaseFee = async (wei: bigint) => {
  await world.request('anvil_setNextBlockBaseFeePerGas', `0x${wei.toString(16)}`)
  await world.mine()
}
const gwei = 1_000_000_000n

async function settle(options: Parameters<AnvilWorld['look']>[0] = {}): Promise<void> {
  for (let block = 0; block < 5; block++) {
    await world.look(options)
    await world.mine()
  }
  await world.look(options)
}

/** An endpoint that answers so to the transaction at this place of what is sent together, the first time. */
function refusing(place: number, message: string): Rpc {
  let isDone = false
  return {
    ...world.rpc,
    async sendToAll(calls) {
      if (isDone || calls.length <= place) return await world.rpc.sendToAll(calls)
      isDone = true
      const others = calls.filter((_, index) => index !== place)
      const answers = await world.rpc.sendToAll(others)
      const refusal: RpcAnswer = { error: { code: -32_000, message } }
      return answers.map(each => each.toSpliced(place, 0, refusal))
    },
  }
}

/** An endpoint that tells of so many transactions of the signer. */
function countFrom(nonce: number): Rpc {
  return {
    ...world.rpc,
    async send(calls) {
      const answers = await world.rpc.send(calls)
      return answers.map((answer, index) =>
        calls[index]?.method === 'eth_getTransactionCount' ? { result: `0x${nonce.toString(16)}` } : answer,
      )
    },
  }
}

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeAll(async () => {
    world = await startAnvilWorld(firstDeployment ? { features: firstFeatures } : {})
  })

  afterAll(async () => await world.close())

  beforeEach(async () => {
    await world.request('anvil_setBalance', signer.address, '0x56bc75e2d63100000')
    await world.outbox.clear()
  })

  describe('what is sent', () => {
    test.skipIf(firstDeployment)('default: answers of one look go in one transaction', async () => {
      const ids = await world.ask(3)
      const nonce = await world.nonce()
      await settle()
      expect([await world.nonce(), await states()]).toEqual([
        nonce + 1,
        ['delivered', 'delivered', 'delivered'],
      ])
      expect(await world.answered()).toEqual(expect.arrayContaining(ids))
    })

    test('behavior: one by one where the deployment takes no batches; one that is refused is sent again', async () => {
      const ids = await world.ask(5)
      const nonce = await world.nonce()
      const features = firstFeatures
      await world.look({ features, rpc: refusing(2, 'txpool is full') })
      const sent = ['deliver', 'sent']
      expect(await kinds()).toEqual([sent, sent, ['deliver', 'signed'], sent, sent])
      await settle({ features })
      expect([await world.nonce(), await states()]).toEqual([nonce + 5, ids.map(() => 'delivered')])
      expect(await world.answered()).toEqual(expect.arrayContaining(ids))
      expect(await world.outbox.raws()).toHaveLength(5)
    })

    test('behavior: where a proof is required, what has none takes no nonce; nobody is asked about it', async () => {
      const nonce = await world.nonce()
      await world.ask(1, { requiresProof: true })
      await settle()
      expect(await rows()).toMatchObject([{ state: 'dropped', reason: 'missing_proof' }])
      expect([await world.nonce(), await world.outbox.transactions()]).toEqual([nonce, []])
    })

    test('behavior: behind what no endpoint takes, no nonce is taken', async () => {
      await world.ask()
      const deaf: Rpc = { ...world.rpc, sendToAll: async () => [] }
      await world.look({ rpc: deaf })
      await world.ask()
      const blocked = (await world.look({ rpc: deaf }))?.blocked
      expect(blocked).toMatch(/^Transaction \d+ was not taken by any endpoint$/)
      expect(await states()).toEqual(['sending', 'computed'])
      await settle()
      expect(await states()).toEqual(['delivered', 'delivered'])
    })

    test('behavior: one of a batch fails on the chain: the others are delivered, and it is given up', async () => {
      const [first, second, third] = (await world.ask(3)) as [number, number, number]
      await world.look()
      // Somebody else is faster.
      const other = createDeployer(world.url, anvilAccount(8))
      const output = `0x${'20'.padStart(64, '0')}${zeroHash.slice(2)}` as Hex
      await other.wallet.sendTransaction({
        to: world.coordinator,
        data: deliverCall({
          subscription: second,
          interval: 1,
          input: '0x',
          output,
          proof: '0x',
          nodeWallet: '0x0000000000000000000000000000000000000000',
        }),
        gas: 1_000_000n,
        maxFeePerGas: 100n * gwei,
        maxPriorityFeePerGas: 50n * gwei,
      })
      await settle()
      expect(await rows()).toMatchObject([
        { subscription: first, state: 'delivered' },
        { subscription: second, state: 'dropped', reason: 'IntervalCompleted' },
        { subscription: third, state: 'delivered' },
      ])
    })

    test('behavior: no more at once than may be on their way', async () => {
      await world.ask(3)
      const options = {
        feeRecipient: null,
        features: firstFeatures,
        config: { gas: { ...gasPolicy, maxInFlight: 2 } },
      }
      expect(await world.look(options)).toMatchObject({ blocked: '2 transactions are on their way' })
      expect(await states()).toEqual(['sending', 'sending', 'computed'])
      await settle(options)
      expect(await states()).toEqual(['delivered', 'delivered', 'delivered'])
    })

    test('behavior: too much gas, or too much output: dropped with a reason', async () => {
      await world.ask()
      await world.look({ config: { gas: { ...gasPolicy, maxGasLimit: 60_000 } } })
      await world.ask(1, { output: JSON.stringify('x'.repeat(40_000)) })
      await world.look()
      expect(await rows()).toMatchObject([
        { state: 'dropped', reason: 'output_too_large' },
        { state: 'dropped', reason: 'output_too_large' },
      ])
      expect(await kinds()).toEqual([])
    })

    test('behavior: as the container erred, so the answer is dropped', async () => {
      await world.ask(1, { output: '{"code":"500","error":"no"}' })
      await world.look()
      expect(await rows()).toMatchObject([{ state: 'dropped', reason: 'container_errored' }])
    })
  })

  describe('fees and funds', () => {
    test('behavior: above the ceiling nothing is sent; below it, what waited is', async () => {
      await world.ask()
      await setBaseFee(2n * gasPolicy.maxFeePerGas)
      expect((await world.look())?.blocked).toMatch(/^The market asks \d+ wei/)
      expect([await kinds(), (await rows())[0]?.tries]).toEqual([[], 0])
      await setBaseFee(gwei)
      await settle()
      expect(await states()).toEqual(['delivered'])
    })

    test('behavior: without funds nothing is sent, and nothing is lost', async () => {
      await world.ask(2)
      await world.request('anvil_setBalance', signer.address, '0x0')
      for (let look = 0; look < 4; look++) {
        expect((await world.look())?.blocked).toMatch(/^insufficient_funds/)
        await world.mine()
      }
      expect((await rows()).map(({ state, tries }) => [state, tries])).toEqual([
        ['computed', 0],
        ['computed', 0],
      ])
      await world.request('anvil_setBalance', signer.address, '0x56bc75e2d63100000')
      await settle()
      expect(await states()).toEqual(['delivered', 'delivered'])
    })

    test('behavior: what is stuck goes again for more, 12.5 % at least of both fees', async () => {
      await setBaseFee(gwei)
      await world.ask()
      await world.look()
      await setBaseFee(20n * gwei)
      await world.mine(2)
      await world.look()
      const fees = (await world.outbox.raws()).map(({ raw }) => parseTransaction(raw))
      expect(fees).toHaveLength(2)
      const [before, after] = fees as [(typeof fees)[0], (typeof fees)[0]]
      for (const key of ['maxFeePerGas', 'maxPriorityFeePerGas'] as const)
        expect(after[key]! * 1000n).toBeGreaterThanOrEqual(before[key]! * 1125n)
      expect(after.nonce).toBe(before.nonce)
      await settle()
      expect(await states()).toEqual(['delivered'])
    })
  })

  describe('others', () => {
    /** The signer's key is used elsewhere: another transaction has the next nonce. @returns which. */
    async function intrude(): Promise<number> {
      const nonce = await world.nonce()
      const same = createDeployer(world.url, anvilAccount(7))
      await same.wallet.sendTransaction({
        to: same.wallet.account.address,
        nonce,
        gas: 21_000n,
        maxFeePerGas: 90n * gwei,
        maxPriorityFeePerGas: 80n * gwei,
      })
      return nonce
    }

    test('behavior: another transaction at the nonce: the answer goes with the next one', async () => {
      const [id] = (await world.ask()) as [number]
      await world.look()
      const nonce = await intrude()
      await settle()
      expect([await states(), await world.nonce()]).toEqual([['delivered'], nonce + 2])
      expect((await kinds()).map(([, state]) => state)).toEqual(['displaced', 'mined'])
      expect((await world.answered()).filter(each => each === id)).toEqual([id])
    })

    test('behavior: the same, first seen by an edge that does not know since when', async () => {
      await world.ask()
      await world.look()
      await intrude()
      await world.mine()
      await world.look()
      await world.outbox.db.orm.run(
        sql`update transactions set passed_at = null where passed_block is not null`,
      )
      await settle()
      expect((await kinds()).map(([, state]) => state)).toEqual(['displaced', 'mined'])
    })

    test('behavior: a hole below what is on its way is filled', async () => {
      await world.ask()
      await world.look()
      const { orm } = world.outbox.db
      // As when another transaction had this nonce, and is undone: ours is behind it.
      const nonce = await world.nonce()
      const [{ hash } = { hash: '0x' }] = await world.outbox.raws()
      await world.request('anvil_dropTransaction', hash)
      await orm.run(sql`update transactions set state = 'displaced'`)
      await orm.run(sql`update deliveries set state = 'computed', tx = null`)
      await world.look({ rpc: countFrom(nonce + 1) })
      expect((await world.outbox.transactions()).map(({ nonce: own }) => own)).toEqual([nonce, nonce + 1])
      await settle()
      expect([await states(), await world.nonce()]).toEqual([['delivered'], nonce + 2])
      expect(await kinds()).toContainEqual(['cancel', 'mined'])
    })

    test('behavior: three at once with a signer that takes 200 ms: one transaction, one for each where there are no batches', async () => {
      const ids = await world.ask(2)
      const nonce = await world.nonce()
      const slow: Signer = {
        address: signer.address,
        async signTransaction(transaction) {
          await new Promise(resolve => setTimeout(resolve, 200))
          return await signer.signTransaction(transaction)
        },
      }
      await Promise.all([
        world.look({ signer: slow }),
        world.look({ signer: slow }),
        world.look({ signer: slow }),
      ])
      const sent = firstDeployment ? 2 : 1
      expect(await kinds()).toEqual(Array(sent).fill(['deliver', 'sent']))
      await settle()
      expect([await world.nonce(), await states()]).toEqual([nonce + sent, ['delivered', 'delivered']])
      expect((await world.answered()).filter(id => ids.includes(id))).toEqual(ids)
    })
  })
})
