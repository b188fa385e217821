import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { rewindTransactions } from '../../../../src/edge/chain/outbox/rewind.ts'
import { vanishDeliveries } from '../../../../src/edge/chain/vanish.ts'
import { type AnvilWorld, startAnvilWorld } from './anvil-world.ts'
import { Died, dieAt, type Gate } from './mortal.ts'
import { chainId, firstFeatures } from './node.ts'

/** The table of docs/chains.md: what each blow leaves, and that the answer is delivered once all the same. On a real chain. */

let world: AnvilWorld

/** More steps than one look takes. */
const manySteps = 12
const blows = Array.from({ length: manySteps }, (_, step) => step).flatMap(step =>
  (['before', 'after'] as const).map(when => ({ step, when })),
)

const states = async () => (await world.outbox.deliveries()).map(({ state }) => state)
const kinds = async () => (await world.outbox.transactions()).map(({ kind, state }) => [kind, state])

/** Looks and mines until all is settled. */
async function recover(): Promise<void> {
  for (let block = 0; block < 8; block++) {
    await world.look()
    await world.mine()
  }
  await world.look()
}

/** Whether the look died: it may have had fewer steps. */
async function dies(gate: Gate): Promise<boolean> {
  return await world.look({ gate }).then(
    () => false,
    error => {
      if (error instanceof Died) return true
      throw error
    },
  )
}

async function expectOnce(id: number, { nonce }: { nonce: number }): Promise<void> {
  expect((await world.answered()).filter(answered => answered === id)).toEqual([id])
  expect(await world.nonce()).toBe(nonce + 1)
  expect(await states()).toEqual(['delivered'])
  expect(await world.outbox.transactions()).toHaveLength(1)
}

// The first deployments deliver one answer at a time.
describe.each([false, true])('first deployment: %s', firstDeployment => {
  beforeAll(async () => {
    world = await startAnvilWorld(firstDeployment ? { features: firstFeatures } : {})
  })
  afterAll(async () => await world.close())
  beforeEach(async () => await world.outbox.clear())

  describe('a tick that dies', () => {
    test('behavior: while it sends, at any step: the answer is delivered once', async () => {
      let deaths = 0
      for (const { step, when } of blows) {
        await world.outbox.clear()
        const nonce = await world.nonce()
        const [id] = (await world.ask()) as [number]
        if (await dies(dieAt(step, when))) deaths += 1
        await recover()
        await expectOnce(id, { nonce })
      }
      // Reading, simulating, signing, writing and sending.
      expect(deaths).toBeGreaterThan(10)
    }, 120_000)

    test('behavior: mined before it is marked, at any step: it is marked once', async () => {
      let deaths = 0
      for (const { step, when } of blows) {
        await world.outbox.clear()
        const nonce = await world.nonce()
        const [id] = (await world.ask()) as [number]
        await world.look()
        await world.mine()
        if (await dies(dieAt(step, when))) deaths += 1
        await recover()
        await expectOnce(id, { nonce })
      }
      expect(deaths).toBeGreaterThan(6)
    }, 120_000)

    test('behavior: signed and not written down: it signs again', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      let isSigned = false
      const gate: Gate = async (what, step) => {
        if (isSigned) throw new Died()
        isSigned = what === 'sign'
        return await step()
      }
      expect(await dies(gate)).toBe(true)
      expect([isSigned, await kinds(), await states()]).toEqual([true, [], ['computed']])
      await recover()
      await expectOnce(id, { nonce })
    })

    test('behavior: written down and not sent: what was signed is sent', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      const gate: Gate = async (what, step) => {
        if (what === 'sendToAll') throw new Died()
        return await step()
      }
      expect(await dies(gate)).toBe(true)
      expect([await kinds(), await states()]).toEqual([[['deliver', 'signed']], ['sending']])
      const [before] = await world.outbox.raws()
      await recover()
      await expectOnce(id, { nonce })
      const { hash } = (
        await world.outbox.db.orm.all<{ hash: string }>(sql`select mined_hash as hash from transactions`)
      )[0]!
      expect(hash).toBe(before!.hash)
    })

    test('behavior: sent and not noted: endpoints know it already', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      let isSent = false
      const gate: Gate = async (what, step) => {
        if (isSent) throw new Died()
        const result = await step()
        isSent = what === 'sendToAll'
        return result
      }
      expect(await dies(gate)).toBe(true)
      expect(await kinds()).toEqual([['deliver', 'signed']])
      await world.look()
      expect(await kinds()).toEqual([['deliver', 'sent']])
      await recover()
      await expectOnce(id, { nonce })
    })
  })

  describe('a chain that changes its mind', () => {
    test('behavior: mined and undone, and forgotten: it is sent again, as it was', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      await world.look()
      await world.mine()
      await world.look()
      expect(await states()).toEqual(['delivered'])
      const { number } = await world.head()
      await world.request('anvil_reorg', 1, [])
      expect(await world.nonce()).toBe(nonce)
      await rewindTransactions(world.step(await world.head()), { from: number - 1 })
      expect([await kinds(), await states()]).toEqual([[['deliver', 'signed']], ['sending']])
      await recover()
      await expectOnce(id, { nonce })
      expect(await world.outbox.raws()).toHaveLength(1)
    })

    test('behavior: undone above the block that is believed: noticed all the same', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      const believed = await world.head()
      await world.look()
      await world.mine()
      const lookBehind = async () => {
        const latest = await world.head()
        await world.look({ block: believed, latest })
      }
      await lookBehind()
      expect(await states()).toEqual(['delivered'])
      await world.request('anvil_reorg', 1, [])
      await lookBehind()
      expect(await kinds()).toEqual([['deliver', 'sent']])
      await recover()
      await expectOnce(id, { nonce })
    })

    test('behavior: dropped by every endpoint: sent again for more', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      await world.look()
      const [{ hash } = { hash: '0x' }] = await world.outbox.raws()
      await world.request('anvil_dropTransaction', hash)
      await world.mine(2)
      await world.look()
      expect(await world.outbox.raws()).toHaveLength(1)
      await world.mine()
      await world.look()
      expect(await world.outbox.raws()).toHaveLength(2)
      await recover()
      await expectOnce(id, { nonce })
    })

    test('behavior: its subscription is gone: a transfer of nothing takes its nonce, and it is not sent again', async () => {
      const [id] = (await world.ask()) as [number]
      const nonce = await world.nonce()
      await world.look()
      await world.outbox.db.orm.batch(
        vanishDeliveries(world.outbox.db, { chain: chainId, ids: sql`(select ${id})` }),
      )
      await world.look()
      expect(await kinds()).toEqual([['cancel', 'sent']])
      await recover()
      expect(await world.answered()).not.toContain(id)
      expect(await world.nonce()).toBe(nonce + 1)
      expect(await world.outbox.deliveries()).toMatchObject([{ state: 'dropped', reason: 'vanished' }])
    })

    test.skipIf(firstDeployment)('behavior: one of a batch is gone: the others go without it', async () => {
      const [first, gone, last] = (await world.ask(3)) as [number, number, number]
      const nonce = await world.nonce()
      await world.look()
      expect(await kinds()).toEqual([['deliver', 'sent']])
      await world.outbox.db.orm.batch(
        vanishDeliveries(world.outbox.db, { chain: chainId, ids: sql`(select ${gone})` }),
      )
      await recover()
      expect((await world.answered()).filter(id => id >= first)).toEqual([first, last])
      expect(await world.nonce()).toBe(nonce + 1)
      expect(await states()).toEqual(['delivered', 'dropped', 'delivered'])
    })

    test('behavior: in doubt after a reorganisation: it waits for the schedule', async () => {
      const [id] = (await world.ask()) as [number]
      const refuse: Gate = async (what, step) => {
        if (what === 'sendToAll') throw new Died()
        return await step()
      }
      await dies(refuse)
      const set = (state: string, due: number | null) =>
        world.outbox.db.orm.run(
          sql`update subscriptions set state = ${state}, due_at = ${due} where id = ${id}`,
        )
      await set('active', 0)
      await world.look()
      expect(await kinds()).toEqual([['deliver', 'signed']])
      await set('ended', null)
      await recover()
      expect(await states()).toEqual(['delivered'])
    })
  })

  describe('an interval that is over', () => {
    test('behavior: with its nonce taken: a transfer of nothing takes its place', async () => {
      const { time } = await world.head()
      const [id] = (await world.ask(1, { deadline: time + 60 })) as [number]
      const nonce = await world.nonce()
      await world.look()
      const [{ hash } = { hash: '0x' }] = await world.outbox.raws()
      await world.request('anvil_dropTransaction', hash)
      await world.request('evm_increaseTime', 60)
      await world.mine()
      await world.look()
      expect(await kinds()).toEqual([['cancel', 'sent']])
      await recover()
      expect(await world.answered()).not.toContain(id)
      expect(await world.nonce()).toBe(nonce + 1)
      expect(await world.outbox.deliveries()).toMatchObject([{ state: 'dropped', reason: 'too_late' }])
    })

    test('behavior: and what was sent first is mined all the same: it counts', async () => {
      const { time } = await world.head()
      const [id] = (await world.ask(1, { deadline: time + 60 })) as [number]
      const nonce = await world.nonce()
      await world.look()
      const late = { ...(await world.head()), time: time + 61 }
      const deaf = { ...world.rpc, sendToAll: async () => [] }
      await world.look({ block: late, rpc: deaf })
      expect(await kinds()).toEqual([['cancel', 'signed']])
      await world.mine()
      await world.look()
      await expectOnce(id, { nonce })
    })

    test('behavior: before it is sent: it takes no nonce', async () => {
      const { time } = await world.head()
      await world.ask(1, { deadline: time })
      await world.look()
      expect([await kinds(), await states()]).toEqual([[], ['dropped']])
    })
  })
})
