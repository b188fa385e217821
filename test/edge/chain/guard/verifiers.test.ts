import { sql } from 'drizzle-orm'
import { type Address, zeroAddress } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { type Verifiers, verifierFlaw } from '../../../../src/edge/chain/guard/verifiers.ts'
import { subscriptionOf } from '../subscription.ts'
import { type GuardWorld, price, startGuardWorld } from './world.ts'

const one: Address = `0x${'a1'.repeat(20)}`
const two: Address = `0x${'b2'.repeat(20)}`
const token: Address = `0x${'cc'.repeat(20)}`

describe('verifierFlaw', () => {
  const listed: Verifiers = new Map([[one, new Map([[token, 10n]])]])
  const flawOf = (verifiers: Verifiers, verifier: Address, paymentAmount = 10n, paymentToken = token) =>
    verifierFlaw(verifiers, subscriptionOf({ id: 1, verifier, paymentAmount, paymentToken }))?.code ?? null

  test.each<[string, string | null, string | null]>([
    ['without a list, anybody', flawOf(null, two, 2n ** 200n), null],
    ['no verifier', flawOf(new Map(), zeroAddress), null],
    ['one that is listed, at its most', flawOf(listed, one), null],
    ['a unit more', flawOf(listed, one, 11n), 'stake_too_high'],
    ['a token that is not listed', flawOf(listed, one, 1n, zeroAddress), 'stake_too_high'],
    ['nothing at stake', flawOf(listed, one, 0n, zeroAddress), null],
    ['another', flawOf(listed, two, 0n), 'verifier_not_accepted'],
    ['an empty list, nobody', flawOf(new Map(), one, 0n), 'verifier_not_accepted'],
  ])('%s', (_, code, expected) => {
    expect(code).toBe(expected)
  })
})

describe('on a chain', () => {
  let world: GuardWorld
  beforeEach(async () => {
    world = await startGuardWorld({ container: { generates_proofs: true } })
  })
  afterEach(async () => await world?.close())

  const nodeOf = (verifiers: Verifiers) => world.node({ guard: { ...openGuard, verifiers } })
  const risking = (amount: bigint): Verifiers => new Map([[one, new Map([[zeroAddress, amount]])]])
  const rows = async () =>
    await world.queue.db.orm.all<{ state: string; reason: string | null }>(
      sql`select state, reason from subscriptions order by id`,
    )
  const ask = async (verifier: Address) => await world.askFor({ paid: true, verifier })

  test('default: what asks for the verdict of another, or for more, is refused with the reason', async () => {
    await ask(two)
    await ask(one)
    await world.look(nodeOf(risking(price - 1n)))
    expect(await rows()).toEqual([
      { state: 'refused', reason: 'verifier_not_accepted' },
      { state: 'refused', reason: 'stake_too_high' },
    ])
    expect(await world.compute()).toBe(0)
  })

  test('behavior: another configuration judges again, the same one does not', async () => {
    await ask(two)
    await ask(one)
    await world.look(nodeOf(risking(price - 1n)))
    const epoch = async () =>
      (await world.queue.db.orm.all<{ epoch: number }>(sql`select epoch from policy`))[0]?.epoch
    const before = await epoch()
    await world.look(nodeOf(risking(price - 1n)))
    expect(await epoch()).toBe(before)
    await world.look(nodeOf(risking(price)))
    // Admitted; that there is no contract of this address is another matter.
    expect(await rows()).toMatchObject([
      { state: 'refused' },
      { state: 'active', reason: 'unsupported_verifier' },
    ])
  })

  test('behavior: what was admitted by another configuration is not begun under this one', async () => {
    await ask(one)
    await world.withdraw()
    await world.look(nodeOf(null))
    expect(await rows()).toEqual([{ state: 'active', reason: 'insufficient_balance' }])
    await world.refill()
    await world.chain.warp(600)
    await world.look(nodeOf(new Map()))
    expect(await rows()).toEqual([{ state: 'refused', reason: 'verifier_not_accepted' }])
    expect(await world.compute()).toBe(0)
  })

  test('behavior: who waits for the end of a limit is looked at again when there is another', async () => {
    const limited = (unpaidGas: number) =>
      world.node({ guard: { ...openGuard, limits: { ...openGuard.limits, unpaidGas } } })
    const first = limited(1)
    await world.askFor()
    await world.answer(first)
    await world.mine()
    await world.look(first)
    await world.askFor()
    await world.look(first)
    expect(await rows()).toMatchObject([{}, { state: 'active', reason: 'consumer_limit' }])
    await world.look(limited(10_000_000))
    expect(await world.compute()).toBe(1)
  })
})
