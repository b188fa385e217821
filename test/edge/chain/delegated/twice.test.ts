import { sql } from 'drizzle-orm'
import { toHex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createdIdCall } from '../../../../src/edge/chain/delegated/calls.ts'
import { storedCall } from '../../../../src/edge/chain/delegated/stored.ts'
import type { RpcCall } from '../../../../src/edge/chain/rpc.ts'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { anvilKey } from '../../../../src/local/chain/start.ts'
import type { DelegatedRequest } from '../../../../src/protocol/delegated.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/**
 * One interval that a node has begun twice: for what was signed, and for what another node has created of it, before it was seen that these
 * are the same. Whichever of the two is mined, and whatever is seen first, the receipt or that they are the same: rows say what the chain says.
 */

describe.for([false, true])('begun twice; first deployment: %s', firstDeployment => {
  let world: Delegating
  let other: Delegating
  let node: ChainTick
  beforeEach(async () => {
    world = await startDelegating({ firstDeployment })
    other = await startDelegating({ firstDeployment, chain: world.chain })
    node = world.ticker()
    const request = await world.sign({ redundancy: 3 })
    await other.take(request)
    await other.compute()
    await other.settle(other.ticker({ signer: createSigner(anvilKey(8)) }))
    await world.call('give', toHex('input'))
    await world.look(node)
    await world.take(request, { door: await laggingDoor(request) })
    expect(await world.deliveries()).toMatchObject([
      { subscription: expect.any(Number), state: 'computing' },
      { subscription: 1, state: 'computing' },
    ])
  })
  afterEach(async () => {
    await other?.close()
    await world?.close()
  })

  const orm = () => world.queue.db.orm

  /** Before an endpoint that has not got the block in which it was created. */
  async function laggingDoor({ subscription, signature }: DelegatedRequest) {
    const door = await world.door()
    const { rpc } = door.chain
    const asked = createdIdCall(
      { owner: subscription.owner, nonce: signature.nonce },
      { contracts: door.contracts, at: 'latest' },
    )
    door.chain = {
      ...door.chain,
      rpc: {
        ...rpc,
        async send(calls, anchor) {
          const answers = await rpc.send(calls, anchor)
          return answers.map((answer, index) =>
            JSON.stringify(calls[index]) === JSON.stringify(asked)
              ? { result: `0x${'00'.repeat(32)}` }
              : answer,
          )
        },
      },
    }
    return door
  }

  /** What a runner reports: of what was signed for, or of what was found on the chain. */
  async function computeOf(which: 'signed' | 'found'): Promise<void> {
    const isWhich = sql.raw(which === 'signed' ? 'subscription < 0' : 'subscription > 0')
    await orm().run(sql`
      update jobs set state = 'success', finished_at = 1, result = '{"container":"echo","output":{"said":"x"}}', result_bytes = 41
      where state = 'queued' and id in (select job from deliveries where ${isWhich})`)
  }

  /** The schedule looks whether it was created. */
  async function link(): Promise<void> {
    await orm().run(sql`update subscriptions set state = 'active', due_at = 1 where id < 0`)
    await world.look(node)
  }

  /** Sends an answer, which is not mined before `mine`. */
  async function send(which: 'signed' | 'found'): Promise<void> {
    await world.request('evm_setAutomine', false)
    await computeOf(which)
    await world.look(node)
  }

  async function mine(): Promise<void> {
    await world.request('evm_setAutomine', true)
    await world.mine()
  }

  /** The first that was sent is mined, and the other one lost on its way. */
  async function mineFirst(): Promise<void> {
    const raws = await orm().all<{ hash: `0x${string}`; raw: string }>(sql`
      select hash, raw from raws join transactions on transactions.id = tx order by nonce`)
    for (const { hash } of raws) await world.chain.anvil.dropTransaction({ hash })
    await world.request('evm_setAutomine', true)
    await world.request('eth_sendRawTransaction', raws[0]?.raw)
    await world.look(node)
  }

  async function expectTrue(): Promise<void> {
    await computeOf('found')
    await computeOf('signed')
    await world.settle(node)
    await world.settle(node)
    expect(await world.ids()).toEqual([1])
    expect(await world.fulfilled()).toEqual([1, 1])
    const rows = await world.deliveries()
    expect(rows.filter(({ interval }) => interval > 0)).toMatchObject([
      { subscription: 1, interval: 1, state: 'delivered', reason: null, tx: expect.any(String) },
    ])
    const others = rows.filter(({ interval }) => interval < 0)
    expect(others).toMatchObject([{ state: 'dropped', reason: 'begun_twice' }])
    const paid = await orm().all(sql`
      select status, gas_used > 0 as paid from transactions join deliveries on tx = transactions.id where deliveries.state = 'delivered'`)
    expect(paid).toEqual([{ status: 1, paid: 1 }])
    expect(await orm().all(sql`select 1 from transactions where state in ('signed', 'sent')`)).toEqual([])
    expect(await orm().all(sql`select 1 from jobs where state in ('queued', 'running')`)).toEqual([])
    expect(await world.subscriptions()).toMatchObject([{ id: 1, state: 'ended' }])
    expect(await other.deliveries()).toMatchObject([{ subscription: 1, interval: 1, state: 'delivered' }])
  }

  test('behavior: what was signed for is mined before they are known to be the same', async () => {
    await computeOf('signed')
    await world.look(node)
    await expectTrue()
  })

  test('behavior: what was found is mined before they are known to be the same', async () => {
    await computeOf('found')
    await world.look(node)
    await expectTrue()
  })

  test('behavior: they are known to be the same before either is computed', async () => {
    await link()
    await expectTrue()
  })

  test('behavior: who has zeros for what was created says nothing of it', async () => {
    const dataOf = ({ params: [call] }: Pick<RpcCall, 'params'>) =>
      (call as { data?: string } | undefined)?.data
    const asked = storedCall(1, { contracts: { coordinator: world.chain.coordinator }, at: 0 })
    const isAsked = (call: Pick<RpcCall, 'params'>) => dataOf(call) === dataOf(asked)
    world.proxy.setOverride(call => (isAsked(call) ? { result: `0x${'00'.repeat(32 * 11)}` } : null))
    await link()
    expect((await world.deliveries()).map(({ state, interval }) => [state, interval])).toEqual([
      ['computing', 1],
      ['computing', 1],
    ])
    const [mine] = await world.subscriptions()
    expect(mine).toMatchObject({ state: 'active', reason: 'unreadable' })
    world.proxy.setOverride(undefined)
    await link()
    await expectTrue()
  })

  test.for(['signed', 'found'] as const)('behavior: likewise, while what was %s is computed', async which => {
    await world.request('evm_setAutomine', false)
    await computeOf(which)
    await link()
    await mine()
    await expectTrue()
  })

  test.for(['signed', 'found'] as const)(
    'behavior: both are on their way, what was %s first, and mined in one block',
    async first => {
      await send(first)
      await send(first === 'signed' ? 'found' : 'signed')
      expect(await world.states()).toEqual(['sending', 'sending'])
      await mine()
      await expectTrue()
    },
  )

  test.for([
    ['signed', 'alone'],
    ['signed', 'together'],
    ['found', 'alone'],
    ['found', 'together'],
  ] as const)(
    'behavior: both are on their way when they are known to be the same; what was %s is mined first, %s',
    async ([first, how]) => {
      await send(first)
      await send(first === 'signed' ? 'found' : 'signed')
      await link()
      expect((await world.states()).toSorted()).toEqual(['dropped', 'sending'])
      if (how === 'alone') await mineFirst()
      else await mine()
      await expectTrue()
    },
  )
})
