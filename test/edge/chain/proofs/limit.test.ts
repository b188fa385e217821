import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import { type Address, encodeFunctionData, zeroAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { overstaked } from '../../../../src/edge/chain/stakes/limited.ts'
import { createWallet } from '../../../../src/local/chain/start.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import {
  type Contract,
  createSubscription,
  deploy,
  fund,
  nodeAddress,
  transact,
} from '../../../support/chain.ts'
import { type Delegating, startDelegating } from '../delegated/delegating.ts'
import { mortalDb } from '../outbox/mortal.ts'
import type { Ticking } from '../ticking.ts'
import { type Proving, type ProvingOptions, price, startProving } from './proving.ts'

/** What may be at stake with one verifier at one time, whoever asks. */

/** A long run: `MODEL_RUNS=100 npm test -- proofs/limit`. */
const numRuns = Number(process.env.MODEL_RUNS ?? 4)

let world: Proving | Delegating | undefined
afterEach(async () => await world?.close())

const lower = (address: Address) => address.toLowerCase() as Address
const risking = (verifier: Contract, most: bigint) => ({
  ...openGuard,
  verifiers: new Map([[lower(verifier.address), new Map([[zeroAddress, most]])]]),
})

describe.for([false, true])('first deployment: %s', firstDeployment => {
  async function start(most: bigint, kind?: ProvingOptions['kind']) {
    const options = { firstDeployment, stake: 100n * price, funds: 100n * price }
    const proving = await startProving(kind === undefined ? options : { ...options, kind })
    world = proving
    const node = (limit = most) =>
      proving.ticker({ paymentAddress: proving.nodeWallet, guard: risking(proving.verifier, limit) })
    return { ...proving, limited: node }
  }

  /** Of answers that are begun, and of proofs without a verdict: what their subscriptions pay. */
  async function atStake({ queue }: Ticking): Promise<bigint> {
    const rows = await queue.db.orm.all<{ amount: string }>(sql`
    select payment_amount as amount from subscriptions s join deliveries d on d.chain = s.chain and d.subscription = s.id
      left join proofs p on p.chain = d.chain and p.subscription = d.subscription and p.interval = d.interval
    where s.verifier <> ${zeroAddress} and (d.state in ('computing', 'computed', 'sending') or p.state = 'pending')`)
    return rows.reduce((sum, { amount }) => sum + BigInt(amount), 0n)
  }

  test('default: what would stake more than is risked on a verifier waits, whoever asks, until a stake comes back', async () => {
    const proving = await start(price + price / 2n)
    const { chain, verifier, prove, look, compute, call } = proving
    const node = proving.limited()
    const other = await deploy(chain, { name: 'AskingConsumer', args: [chain.registry] })
    const wallet = await fund(chain, { spender: other.address, amount: price })
    await prove()
    await look(node)
    await chain.warp(5)
    await look(node, 2)
    expect(await compute()).toBe(1)
    await createSubscription(chain, other, { wallet, amount: price / 2n + 1n, verifier: verifier.address })
    await chain.warp(5)
    await look(node, 2)
    expect(await proving.reasons()).toEqual(['begun', 'stake_limit'])
    // Mined, and not judged: it is at stake still.
    await chain.warp(600)
    await look(node, 2)
    expect([await proving.states(), await proving.reasons()]).toEqual([
      ['delivered'],
      ['begun', 'stake_limit'],
    ])
    await call(verifier, 'finalize', 1, 1, nodeAddress, true)
    await chain.warp(60)
    await look(node)
    expect(await proving.proofs()).toMatchObject([{ state: 'accepted' }])
    // It is looked at as soon as the verdict is known.
    await proving.mine()
    await look(node)
    expect(await proving.reasons()).not.toContain('stake_limit')
  })

  test('behavior: what is judged with its answer is at stake no more: who waits is looked at at once', async () => {
    const proving = await start(price + price / 2n, 'AtomicVerifier')
    const { chain, prove, look, compute } = proving
    const node = proving.limited()
    await prove()
    await look(node)
    await chain.warp(5)
    await look(node, 2)
    await prove()
    // The longest pauses are minutes by then.
    for (let times = 0; times < 8; times++) {
      await chain.warp(600)
      await look(node)
    }
    expect(await proving.reasons()).toEqual(['begun', 'stake_limit'])
    expect(await compute()).toBe(1)
    await look(node)
    await proving.mine()
    await look(node)
    expect(await proving.states()).toEqual(['delivered'])
    expect(await proving.proofs()).toMatchObject([{ state: 'accepted' }])
    await proving.mine()
    await look(node)
    expect(await proving.reasons()).not.toContain('stake_limit')
  })

  test('behavior: what is computed already is not sent while it would stake more than is risked by now', async () => {
    const proving = await start(2n * price)
    const { chain, verifier, prove, look, compute, call } = proving
    const before = proving.limited()
    await prove()
    await prove()
    await look(before)
    await chain.warp(5)
    await look(before, 2)
    expect(await compute()).toBe(2)
    const node = proving.limited(price)
    await look(node)
    await proving.mine()
    await look(node)
    const told = async () => (await proving.deliveries()).map(({ state, reason }) => [state, reason])
    expect(await told()).toEqual([
      ['delivered', null],
      ['computed', 'stake_limit'],
    ])
    await call(verifier, 'finalize', 1, 1, nodeAddress, false)
    await chain.warp(60)
    await look(node)
    proving.queue.clock.ms += 60_000
    await look(node)
    await proving.mine()
    await look(node)
    expect(await proving.states()).toEqual(['delivered', 'delivered'])
  })

  test('behavior: where so many wait for a verdict that no more are taken on, one waits until there are fewer', async () => {
    const proving = await start(100n * price)
    const { chain, queue, verifier, prove, look } = proving
    const node = proving.ticker({ paymentAddress: proving.nodeWallet })
    const wait = async (whose: Address, proofs: number) =>
      await queue.db.orm.run(sql`
        insert into stake_sums (chain, token, verifier, wallet, proofs, amount0, amount1, amount2, amount3, amount4, amount5, amount6)
        values (${chain.id}, '0xother', ${lower(whose)}, '', ${proofs}, 0, 0, 0, 0, 0, 0, 0)
        on conflict do update set proofs = ${proofs}`)
    const second = async () => {
      await chain.warp(60)
      await look(node)
      return (await proving.reasons())[1]
    }
    await prove()
    await look(node)
    await chain.warp(5)
    await look(node, 2)
    expect(await proving.reasons()).toEqual(['begun'])
    await prove()
    await wait(verifier.address, 49_999)
    expect(await second()).toBe('proof_limit')
    await wait(verifier.address, 49_998)
    await wait(nodeAddress, 50_001)
    expect(await second()).toBe('proof_limit')
    await wait(nodeAddress, 50_000)
    expect(await second()).toBe('stake_unapproved')
  })

  test.for([0, 1])(
    'behavior: what is mined while it is looked at is at stake all the same; before statement %s',
    async at => {
      const proving = await start(2n * price)
      const { chain, queue, verifier, look, compute } = proving
      const node = proving.limited()
      await proving.prove()
      await look(node)
      await chain.warp(5)
      await look(node, 2)
      expect(await compute()).toBe(1)
      await look(node)
      expect(await proving.states()).toEqual(['sending'])
      const { config } = (await proving.door({ guard: risking(verifier, price) })).chain
      const answerOf = (subscription: number, amount: bigint) => {
        const stake = { token: zeroAddress, verifier: lower(verifier.address), amount }
        return { subscription, interval: 1, stake }
      }
      // Who has read it before counts it once.
      const [sent, none] = [answerOf(1, price), answerOf(2, 0n)]
      const { over } = await overstaked({ db: queue.db, chain: { config } }, [sent, none])
      expect(over).toEqual(new Set())
      await proving.mine()
      let statements = 0
      const db = mortalDb(queue.db, async (_, run) => {
        if (statements++ === at) {
          await look(node)
          expect(await proving.proofs()).toMatchObject([{ state: 'pending' }])
        }
        return await run()
      })
      const answer = answerOf(2, 1n)
      expect((await overstaked({ db, chain: { config } }, [answer])).over).toEqual(new Set([answer]))
      // It was looked at in one piece: nothing comes in between.
      expect(statements).toBe(1)
    },
  )

  test('behavior: what is given up while it may be mined yet is at stake, and so is what comes of it', async () => {
    const proving = await start(price)
    const { chain, queue, verifier, prove, look, compute, call } = proving
    const node = proving.limited()
    await prove()
    await look(node)
    await chain.warp(5)
    await look(node, 2)
    expect(await compute()).toBe(1)
    await look(node)
    expect(await proving.states()).toEqual(['sending'])
    await queue.db.orm.run(
      sql`update deliveries set state = 'dropped', reason = 'too_late' where state = 'sending'`,
    )
    const { config } = (await proving.door({ guard: risking(verifier, price) })).chain
    const stake = { token: zeroAddress, verifier: lower(verifier.address), amount: 1n }
    const answer = { subscription: 2, interval: 1, stake }
    const isOver = async () =>
      (await overstaked({ db: queue.db, chain: { config } }, [answer])).over.has(answer)
    expect(await isOver()).toBe(true)
    await prove()
    await look(node)
    await chain.warp(5)
    await look(node, 2)
    expect([await proving.states(), await proving.proofs()]).toMatchObject([
      ['delivered'],
      [{ state: 'pending' }],
    ])
    expect((await proving.reasons())[1]).toBe('stake_limit')
    expect(await isOver()).toBe(true)
    await call(verifier, 'finalize', 1, 1, nodeAddress, true)
    await chain.warp(60)
    await look(node, 2)
    expect(await isOver()).toBe(false)
  })

  test('behavior: two who send at once, each another answer, stake no more than one would', async () => {
    const proving = await start(2n * price)
    const { chain, queue, verifier, look, compute, nodeWallet: paymentAddress } = proving
    const { orm } = queue.db
    const before = proving.limited()
    for (let asked = 0; asked < 2; asked++) await proving.prove()
    await look(before)
    await chain.warp(5)
    await look(before, 2)
    expect(await compute()).toBe(2)
    await orm.run(sql`update deliveries set not_before = ${queue.clock.ms + 60_000} where subscription = 1`)
    const there = proving.limited(price)
    let isThere = false
    const here = proving.ticker({
      paymentAddress,
      guard: risking(verifier, price),
      async gate(what, run) {
        if (what === 'sign' && !isThere) {
          isThere = true
          await orm.run(sql`update deliveries set not_before = 0 where subscription = 1`)
          await look(there)
          expect((await proving.states())[0]).toBe('sending')
        }
        return await run()
      },
    })
    await look(here)
    expect(isThere).toBe(true)
    expect(await proving.states()).toEqual(['sending', 'computed'])
  })

  const inBetween = 'two who begin at once stake no more than one would, wherever the one comes in between'
  test.for([true, false])(
    `behavior: ${inBetween}; the chain was looked at: %s`,
    { timeout: 60_000 },
    async isLookedAt => {
      const delegating = await startDelegating({ firstDeployment, container: { generates_proofs: true } })
      world = delegating
      const { chain, consumer, queue } = delegating
      const { orm } = queue.db
      const verifier = await deploy(chain, {
        name: 'OptimisticVerifier',
        file: 'Verifiers',
        args: [chain.coordinator],
      })
      const paymentAddress = await createWallet(chain.deployer, chain.walletFactory, nodeAddress)
      await chain.anvil.setBalance({ address: paymentAddress, value: 100n * price })
      await delegating.request('anvil_impersonateAccount', nodeAddress)
      const args = [nodeAddress, zeroAddress, 100n * price] as const
      const data = encodeFunctionData({ abi: walletAbi, functionName: 'approve', args })
      await delegating.request('eth_sendTransaction', { from: nodeAddress, to: paymentAddress, data })
      const wallet = await fund(chain, { spender: consumer.address, amount: 100n * price })
      const asking = { verifier: verifier.address, wallet, payment_token: zeroAddress, payment_amount: price }
      const changed = { paymentAddress, guard: risking(verifier, price + price / 2n) }
      const other = await delegating.door(changed)
      if (isLookedAt) await delegating.look(delegating.ticker(changed))
      let isLeft = true
      for (let step = 0; isLeft; step++) {
        let count = 0
        isLeft = false
        const door = await delegating.door({
          ...changed,
          async gate(_, run) {
            if (count++ === step) {
              isLeft = true
              await delegating.take(asking, { door: other })
            }
            return await run()
          },
        })
        count = 0
        isLeft = false
        await delegating.take(asking, { door })
        const begun = await orm.all(sql`select 1 from deliveries where state = 'computing'`)
        expect(begun, `step ${step}`).toHaveLength(1)
        await orm.run(sql`update deliveries set state = 'dropped'`)
        await orm.run(sql`update subscriptions set state = 'ended', kept_since = 0, due_at = null`)
      }
    },
  )

  type Op =
    | { op: 'ask' | 'judge'; amount: bigint; valid: boolean }
    | { op: 'look' | 'compute' | 'reorg' | 'two' }

  const operations: fc.Arbitrary<Op> = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constantFrom('ask' as const, 'ask' as const, 'judge' as const),
        amount: fc.bigInt({ min: 1n, max: 2n * price }),
        valid: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ op: fc.constantFrom('look' as const, 'compute' as const, 'two' as const) }),
    },
  )

  type Limited = Awaited<ReturnType<typeof start>>
  type Ticker = ReturnType<Limited['limited']>

  async function apply(
    proving: Limited,
    { op, tickers: [first, second] }: { op: Op; tickers: readonly [Ticker, Ticker] },
  ): Promise<void> {
    if (op.op === 'ask') return void (await proving.prove({ amount: op.amount }))
    if (op.op === 'judge') return await judgeOne(proving, op.valid)
    if (op.op === 'compute') return void (await proving.compute())
    await proving.chain.warp(61)
    if (op.op === 'two') await Promise.all([proving.look(first), proving.look(second)])
    else await proving.look(first)
  }

  test('property: what is at stake is never above what is risked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { minLength: 15, maxLength: 30 }), async history => {
        const most = 3n * price
        const proving = await start(most)
        const tickers = [proving.limited(), proving.limited()] as const
        let staked = 0
        for (const op of history) {
          await apply(proving, { op, tickers })
          const sum = await atStake(proving)
          if (sum > 0n) staked++
          expect(sum).toBeLessThanOrEqual(most)
          const { chain } = proving.chain.deployer
          const locked = await chain.readContract({
            address: proving.nodeWallet,
            abi: walletAbi,
            functionName: 'lockedBalance',
            args: [zeroAddress],
          })
          expect(locked).toBeLessThanOrEqual(most)
        }
        await proving.close()
        world = undefined
        fc.pre(staked > 0)
      }),
      { numRuns, endOnFailure: true },
    )
  }, 600_000)

  /** The verifier says what it thinks of the oldest proof that waits. */
  async function judgeOne({ queue, chain, verifier }: Proving, valid: boolean): Promise<void> {
    const [proof] = await queue.db.orm.all<{ subscription: number }>(
      sql`select subscription from proofs where state = 'pending' order by subscription limit 1`,
    )
    if (proof === undefined) return
    const judging = transact(chain, verifier, {
      functionName: 'finalize',
      args: [proof.subscription, 1, nodeAddress, valid],
    })
    // Judged already, and not heard of yet.
    await judging.catch(() => null)
  }
})
