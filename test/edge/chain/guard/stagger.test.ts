import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { type Address, numberToHex } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { placeOf, waitOf } from '../../../../src/edge/chain/guard/stagger.ts'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { anvilKey } from '../../../../src/local/chain/start.ts'
import { nodeAddress } from '../../../support/chain.ts'
import { startTicking, type Ticking } from '../ticking.ts'
import { type GuardWorld, startGuardWorld } from './world.ts'

const addresses = fc.uniqueArray(
  fc.bigInt({ min: 1n, max: 2n ** 160n - 1n }).map(value => numberToHex(value, { size: 20 })),
  { minLength: 1, maxLength: 8 },
)

describe('placeOf', () => {
  test('property: nodes that know each other have a place each', () => {
    fc.assert(
      fc.property(addresses, fc.nat(), fc.nat(), (nodes, subscription, interval) => {
        const places = nodes.map(self => placeOf({ chain: 1, subscription, interval, self, peers: nodes }))
        expect(places.toSorted((a, b) => a - b)).toEqual(nodes.map((_, place) => place))
      }),
    )
  })

  test('property: by whatever letters, in whatever order, and whether it lists itself', () => {
    fc.assert(
      fc.property(addresses, fc.nat(), (nodes, subscription) => {
        const [self = '0x' as Address, ...others] = nodes
        const turn = { chain: 1, subscription, interval: 1, self }
        const place = placeOf({ ...turn, peers: others })
        const written = nodes.toReversed().map(node => `0x${node.slice(2).toUpperCase()}` as Address)
        expect(placeOf({ ...turn, peers: written })).toBe(place)
      }),
    )
  })

  test('behavior: none is always first', () => {
    const nodes: Address[] = [1n, 2n, 3n].map(value => numberToHex(value, { size: 20 }))
    const first = new Set(
      Array.from({ length: 50 }, (_, subscription) =>
        nodes.findIndex(self => placeOf({ chain: 1, subscription, interval: 1, self, peers: nodes }) === 0),
      ),
    )
    expect(first).toEqual(new Set([0, 1, 2]))
  })
})

describe('waitOf', () => {
  test('default: those that have a place go at once, the others one after another', () => {
    const waits = [0, 1, 2, 3].map(place =>
      waitOf({ place, redundancy: 2, blocks: 3 }, { secondsLeft: null, gapSeconds: 12 }),
    )
    expect(waits).toEqual([0, 0, 3, 6])
  })

  test('property: never longer than half of what is left', () => {
    fc.assert(
      fc.property(
        fc.nat(64),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: -100, max: 100_000 }),
        fc.nat(60),
        (place, redundancy, blocks, secondsLeft, gapSeconds) => {
          const wait = waitOf({ place, redundancy, blocks }, { secondsLeft, gapSeconds })
          expect(wait).toBeGreaterThanOrEqual(0)
          expect(wait * Math.max(1, gapSeconds)).toBeLessThanOrEqual(Math.max(0, secondsLeft / 2))
          if (place < redundancy) expect(wait).toBe(0)
        },
      ),
    )
  })
})

describe.for([false, true])('two nodes on a chain; first deployment: %s', firstDeployment => {
  const otherSigner = createSigner(anvilKey(9))
  let world: GuardWorld
  let others: Ticking
  let node: ChainTick
  let other: ChainTick

  beforeEach(async () => {
    world = await startGuardWorld({ firstDeployment })
    others = await startTicking({ firstDeployment, chain: world.chain })
    const knowing = (...peers: Address[]) => ({ guard: { ...openGuard, stagger: { peers, blocks: 1 } } })
    node = world.node(knowing(otherSigner.address))
    other = others.ticker({ ...knowing(nodeAddress), signer: otherSigner, paymentAddress: world.nodeWallet })
  })
  afterEach(async () => {
    await others?.close()
    await world?.close()
  })

  /** Whether it is the other's turn. */
  const isOthers = (subscription: number, interval = 1) =>
    placeOf({
      chain: world.chain.id,
      subscription,
      interval,
      self: nodeAddress,
      peers: [otherSigner.address],
    }) === 1
  const computed = async () => {
    await world.look(node)
    await others.look(other)
    await world.compute()
    await others.compute()
  }
  const spent = async (address: Address) => {
    const { chain } = world.chain.deployer
    return await chain.getTransactionCount({ address })
  }
  /** Ids, of which some are of either's turn. */
  async function askSeveral(): Promise<number[]> {
    const ids: number[] = []
    while (ids.length < 4 || new Set(ids.map(id => isOthers(id))).size < 2) ids.push(await world.askFor())
    return ids
  }

  test('default: each sends what is its turn, and nobody pays for a race', async () => {
    const ids = await askSeveral()
    await computed()
    await world.holding(async () => {
      await world.look(node)
      await others.look(other)
    })
    for (let block = 0; block < 3; block += 1) {
      await world.mine()
      await world.look(node)
      await others.look(other)
    }
    expect(await world.fulfilled()).toEqual(ids)
    const states = async (theirs: Ticking) =>
      (await theirs.deliveries()).map(({ subscription, state, reason }) => [subscription, state, reason])
    const taken = (mine: boolean) =>
      ids.map(id => (mine === isOthers(id) ? [id, 'dropped', 'IntervalCompleted'] : [id, 'delivered', null]))
    expect(await states(world)).toEqual(taken(true))
    expect(await states(others)).toEqual(taken(false))
    // Each by itself: another may know of other nodes than they do.
    const turns = [ids.filter(id => !isOthers(id)), ids.filter(id => isOthers(id))].map(
      ({ length }) => length,
    )
    expect([await spent(nodeAddress), await spent(otherSigner.address)]).toEqual(turns)
    const reverted = sql`select 1 from transactions where status = 0`
    expect(await world.queue.db.orm.all(reverted)).toEqual([])
    expect(await others.queue.db.orm.all(reverted)).toEqual([])
  })

  test('behavior: whose turn it is does not come: the next one answers, a block later', async () => {
    const ids = await askSeveral()
    await world.look(node)
    await world.compute()
    await world.look(node)
    const mine = ids.filter(id => !isOthers(id))
    expect(await world.fulfilled()).toEqual(mine)
    expect((await world.deliveries()).filter(({ state }) => state === 'computed')).toMatchObject(
      ids.filter(id => isOthers(id)).map(subscription => ({ subscription, reason: 'staggered', tries: 0 })),
    )
    await world.mine()
    await world.look(node)
    expect(await world.fulfilled()).toEqual(ids)
  })

  test('behavior: with as many places as nodes nobody waits', async () => {
    const ids = [await world.askFor({ redundancy: 2 }), await world.askFor({ redundancy: 2 })]
    await computed()
    await world.look(node)
    await others.look(other)
    expect(await world.fulfilled()).toEqual([...ids, ...ids].toSorted((a, b) => a - b))
  })

  test('behavior: what is nearly over waits for nobody', async () => {
    const id = await world.askFor({ frequency: 40, period: 60 })
    let interval = 1
    while (!isOthers(id, interval)) interval += 1
    // Less than two blocks' time is left at half of it, and enough for a machine that is slow.
    await world.chain.warp(60 * interval + 40)
    await computed()
    await world.look(node)
    expect(await world.fulfilled()).toEqual([id])
  })
})
