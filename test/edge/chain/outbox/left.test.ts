import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { confirmLeft } from '../../../../src/edge/chain/outbox/left.ts'
import { pruneChain } from '../../../../src/edge/chain/prune.ts'
import { type AnvilWorld, startAnvilWorld } from './anvil-world.ts'
import { chainId, firstFeatures, signer as old, otherSigner as signer } from './node.ts'

/** The node has another key than the one that it has answered with. */

let world: AnvilWorld

const transactions = () =>
  world.outbox.db.orm.all<{ signer: string; state: string }>(
    sql`select signer, state from transactions order by created_at, id`,
  )
const nonceOf = async (address: `0x${string}`) => await world.others.chain.getTransactionCount({ address })
const forget = async () => {
  for (const { hash } of await world.outbox.raws()) await world.request('anvil_dropTransaction', hash)
}
const wait = async (seconds: number) => {
  await world.request('evm_increaseTime', seconds)
  await world.mine()
}

/** An answer that the old key has signed, on its way. @returns its subscription. */
async function leave(options: { deadline?: number } = {}): Promise<number> {
  const [id] = (await world.ask(1, options)) as [number]
  await world.look()
  return id
}

describe.for([false, true])('what another signer has left; first deployment: %s', firstDeployment => {
  beforeAll(async () => {
    world = await startAnvilWorld(firstDeployment ? { features: firstFeatures } : {})
  })
  afterAll(async () => await world.close())
  beforeEach(async () => await world.outbox.clear())

  test('default: is found where it is mined', async () => {
    const id = await leave()
    await world.look({ signer })
    expect(await confirmLeft(world.step(await world.head(), { signer }))).toBe(1)
    await world.mine()
    await world.look({ signer })
    expect(await world.outbox.deliveries()).toMatchObject([{ subscription: id, state: 'delivered' }])
    expect(await transactions()).toEqual([{ signer: old.address, state: 'mined' }])
    expect(await confirmLeft(world.step(await world.head(), { signer }))).toBe(0)
  })

  test('behavior: is sent again as it is, when endpoints have forgotten it', async () => {
    const id = await leave()
    const nonce = await nonceOf(old.address)
    await forget()
    await world.mine(4)
    await world.look({ signer })
    await world.mine()
    await world.look({ signer })
    expect(await world.outbox.deliveries()).toMatchObject([{ subscription: id, state: 'delivered' }])
    expect(await nonceOf(old.address)).toBe(nonce + 1)
    expect((await world.answered()).filter(each => each === id)).toEqual([id])
  })

  test('behavior: is given up when it is not mined in time, and answered by the signer that there is', async () => {
    const id = await leave()
    await forget()
    await world.request('anvil_setBalance', old.address, '0x0')
    const begin = await nonceOf(signer.address)
    await world.look({ signer })
    await wait(590)
    await world.look({ signer })
    expect(await world.outbox.deliveries()).toMatchObject([{ state: 'sending', reason: null }])
    await wait(10)
    await confirmLeft(world.step(await world.head(), { signer }))
    expect(await world.outbox.deliveries()).toMatchObject([{ state: 'computed', reason: 'signer_changed' }])
    await world.look({ signer })
    await world.mine()
    await world.look({ signer })
    expect(await world.outbox.deliveries()).toMatchObject([{ subscription: id, state: 'delivered' }])
    expect(await transactions()).toEqual([
      { signer: old.address, state: 'displaced' },
      { signer: signer.address, state: 'mined' },
    ])
    expect(await nonceOf(signer.address)).toBe(begin + 1)
    expect((await world.answered()).filter(each => each === id)).toEqual([id])
    await world.request('anvil_setBalance', old.address, '0x56bc75e2d63100000')
  })

  test('behavior: is given up and mined all the same, before its answer is sent anew: it counts', async () => {
    const id = await leave()
    const [{ raw } = { raw: '0x' }] = await world.outbox.raws()
    await forget()
    await world.look({ signer })
    await wait(600)
    await confirmLeft(world.step(await world.head(), { signer }))
    expect(await world.outbox.deliveries()).toMatchObject([{ state: 'computed', reason: 'signer_changed' }])
    const begin = await nonceOf(signer.address)
    await world.request('eth_sendRawTransaction', raw)
    await world.mine()
    await world.look({ signer })
    expect(await world.outbox.deliveries()).toMatchObject([{ subscription: id, state: 'delivered' }])
    expect(await transactions()).toEqual([{ signer: old.address, state: 'mined' }])
    expect(await nonceOf(signer.address)).toBe(begin)
  })

  test('behavior: has been mined and was not told: nothing more is sent', async () => {
    const id = await leave()
    const begin = await nonceOf(signer.address)
    await world.mine()
    // Its receipt is nowhere, and its nonce is used.
    const { rpc } = world
    const deaf: typeof rpc = {
      ...rpc,
      async send(calls, anchor) {
        const answers = await rpc.send(calls, anchor)
        return answers.map((answer, index) =>
          calls[index]?.method === 'eth_getTransactionReceipt' ? { result: null } : answer,
        )
      },
    }
    for (let block = 0; block < 3; block++) {
      await world.look({ signer, rpc: deaf })
      await world.mine()
    }
    expect(await world.outbox.deliveries()).toMatchObject([
      { subscription: id, state: 'dropped', reason: 'IntervalCompleted' },
    ])
    expect(await nonceOf(signer.address)).toBe(begin)
  })

  test('behavior: is its own again when its key comes back', async () => {
    const id = await leave()
    await forget()
    await world.look({ signer })
    await wait(700)
    await world.look()
    await world.look({ signer })
    expect(await world.outbox.deliveries()).toMatchObject([{ state: 'sending' }])
    await world.mine(4)
    await world.look()
    await world.mine()
    await world.look()
    expect(await world.outbox.deliveries()).toMatchObject([{ subscription: id, state: 'delivered' }])
    expect(await transactions()).toEqual([{ signer: old.address, state: 'mined' }])
  })

  test('behavior: is forgotten when it is over, but for the last nonce of each signer, and keeps nothing else', async () => {
    const reorgDepth = 2
    const settle = async () => {
      await world.mine()
      await world.look({ signer })
      await world.mine(reorgDepth)
      await world.look({ signer, config: { reorgDepth } })
    }
    const prune = async () => {
      const { number: head } = await world.head()
      return await pruneChain(world.outbox.db, {
        chain: chainId,
        head,
        reorgDepth,
        retentionMs: 0,
        waitMs: 1e12,
      })
    }
    const nonces = () =>
      world.outbox.db.orm.all(sql`select signer, nonce, state from transactions order by created_at, id`)
    const nonce = await nonceOf(old.address)
    await leave()
    await leave()
    expect(await prune()).toMatchObject({ deliveries: 0, transactions: 0 })
    await settle()
    expect(await prune()).toMatchObject({ deliveries: 2, transactions: 1 })
    const last = { signer: old.address, nonce: nonce + 1, state: 'final' }
    expect(await nonces()).toEqual([last])
    // One that is given up.
    const id = await leave()
    await forget()
    await world.request('anvil_setBalance', old.address, '0x0')
    await world.look({ signer })
    await wait(600)
    await confirmLeft(world.step(await world.head(), { signer }))
    // It may be mined all the same.
    expect(await prune()).toMatchObject({ deliveries: 0, transactions: 0 })
    const next = await nonceOf(signer.address)
    await world.look({ signer })
    await settle()
    expect((await world.answered()).filter(each => each === id)).toEqual([id])
    expect(await prune()).toMatchObject({ deliveries: 1, transactions: 1 })
    expect(await nonces()).toEqual([last, { signer: signer.address, nonce: next, state: 'final' }])
    await world.request('anvil_setBalance', old.address, '0x56bc75e2d63100000')
  })
})
