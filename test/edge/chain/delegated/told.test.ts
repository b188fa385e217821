import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { delegatedDeliverSelector } from '../../../../src/edge/chain/delegated/calls.ts'
import type { TakenOn } from '../../../../src/edge/chain/delegated/told.ts'
import { type Delegating, startDelegating } from './delegating.ts'

/** What clients are told of what was taken on: the same as whoever came first, and of the interval that is open. */

let world: Delegating
const now = async () => Number((await world.chain.deployer.chain.getBlock()).timestamp)

describe.for([false, true])('first deployment: %s', firstDeployment => {
  beforeEach(async () => {
    world = await startDelegating({ firstDeployment })
  })

  afterEach(async () => await world?.close())

  test('default: who sends the same while the first is still being tried is told of the same job', async () => {
    const request = await world.sign()
    const sends: (() => Promise<unknown>)[] = []
    const door = await world.door({
      // Before the trial, which is what it asks after it has verified, somebody else is served.
      async gate(what, step) {
        if (what === 'send') await sends.shift()?.()
        return await step()
      },
    })
    let twin: TakenOn | null = null
    sends.push(
      async () => {},
      async () => {
        twin = await world.take(request)
      },
    )
    const first = await world.take(request, { door })
    expect(sends).toEqual([])
    expect(first.job).not.toBeNull()
    expect(twin).toEqual({ ...first, replayed: expect.any(Boolean) })
    expect(await world.compute()).toBe(1)
  })

  test('behavior: the job is of the interval that is open, and none of one before', async () => {
    const active_at = await now()
    const request = await world.sign({ active_at, period: 1_000, frequency: 3 })
    const door = await world.door()
    const at = (seconds: number) => ({ door: { ...door, now: () => (active_at + seconds) * 1000 } })
    const first = await world.take(request, at(0))
    expect(first).toMatchObject({ interval: 1, job: expect.any(String) })
    expect(await world.take(request, at(999))).toMatchObject({ interval: 1, job: first.job })
    expect(await world.take(request, at(1_000))).toMatchObject({ interval: 2, job: null })
    await world.chain.warp(1_000)
    await world.look(world.ticker())
    const second = await world.take(request, at(1_000))
    expect(second).toMatchObject({ interval: 2, job: expect.any(String), replayed: true })
    expect(second.job).not.toBe(first.job)
    // The chain is further than this machine's clock.
    expect(await world.take(request, at(999))).toMatchObject({ interval: 2, job: second.job })
    expect(await world.take(request, at(3_000))).toMatchObject({ interval: 0, job: null })
  })

  test('behavior: what could not be tried is taken on all the same, and begun by the schedule', async () => {
    const request = await world.sign()
    world.proxy.setFault(({ calls }) =>
      JSON.stringify(calls).includes(delegatedDeliverSelector) ? { kind: 'reset' } : null,
    )
    expect(await world.take(request, { door: await world.door() })).toMatchObject({ interval: 1, job: null })
    world.proxy.setFault(undefined)
    // It was this one alone that was not answered, so it waits a while.
    await world.chain.warp(10)
    await world.look(world.ticker())
    expect(await world.take(request)).toMatchObject({ job: expect.any(String), replayed: true })
  })
})
