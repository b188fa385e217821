import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  createBell,
  createBells,
  type Heard,
  ringEveryone,
  type Ticket,
  type Wait,
} from '../../src/edge/bell/bell.ts'
import { createEarlyRing } from '../../src/edge/bell/early.ts'
import { createRinger } from '../../src/edge/bell/ringer.ts'
import { routeOf } from '../../src/protocol/container.ts'

const longMs = 60_000

/** A bell, and which of its waiters have been woken. */
async function setup() {
  const bell = createBell()
  const woken: string[] = []
  const ticket = await bell.ticket()
  async function wait(key: string, options: Partial<Wait> = {}, signal?: AbortSignal): Promise<Heard> {
    const next = await bell.wait({ ticket, key, waitMs: longMs, ...options }, signal)
    woken.push(key)
    return next
  }
  return { bell, ticket, woken, wait }
}

describe('ticket', () => {
  test('behavior: a ring between the ticket and the wait ends the wait at once', async () => {
    const { bell, ticket, wait } = await setup()
    await bell.ring({ a: 1 })
    const next = await wait('one', { names: ['a'] })
    expect(next.seq).toBe(ticket.seq + 1)
  })

  test('behavior: the ticket that a wait returns does not see the same ring twice', async () => {
    const { bell, wait, woken } = await setup()
    await bell.ring({ a: 1 })
    const next = await wait('one', { names: ['a'] })
    const again = wait('one', { ticket: next, names: ['a'] })
    await bell.ring({ b: 1 })
    expect(woken).toEqual(['one'])
    await bell.ring({ a: 1 })
    await again
    expect(woken).toEqual(['one', 'one'])
  })

  test('behavior: rings for others before the wait do not end it', async () => {
    const { bell, wait, woken } = await setup()
    for (let i = 0; i < 100; i += 1) await bell.ring({ b: 1, 'a,b': 1 })
    const waiting = wait('one', { names: ['a'] })
    await bell.ring({ b: 1 })
    expect(woken).toEqual([])
    await bell.ring({ a: 1 })
    await waiting
  })

  test('behavior: a ticket too old to be judged returns at once', async () => {
    const { bell, wait } = await setup()
    for (let i = 0; i < 1_000; i += 1) await bell.ring({ b: 1 })
    await wait('one', { names: ['a'] })
  })

  test('behavior: a ticket of a bell that vanished returns at once', async () => {
    const { ticket } = await setup()
    const successor = createBell()
    const next = await successor.wait({ ticket, key: 'one', waitMs: longMs })
    expect(next.epoch).not.toBe(ticket.epoch)
  })
})

describe('ring', () => {
  test('default: wakes as many waiters as there are jobs, those first who waited longest', async () => {
    const { bell, woken, wait } = await setup()
    for (const key of ['one', 'two', 'three', 'four']) void wait(key, { names: ['a'] })
    await bell.ring({ a: 2 })
    await vi.waitFor(() => expect(woken).toEqual(['one', 'two']))
    await bell.ring({ a: 5 })
    await vi.waitFor(() => expect(woken).toEqual(['one', 'two', 'three', 'four']))
  })

  test('behavior: passes by waiters that do not serve the route', async () => {
    const { bell, woken, wait } = await setup()
    void wait('b', { names: ['b'] })
    void wait('a', { names: ['a'] })
    await bell.ring({ a: 1 })
    await vi.waitFor(() => expect(woken).toEqual(['a']))
  })

  test('behavior: a chain wakes who lists it, or all of its containers', async () => {
    const { bell, woken, wait } = await setup()
    void wait('a alone', { names: ['a'] })
    void wait('both', { names: ['b', 'c', 'a'] })
    void wait('declared', { names: ['a,b'] })
    await bell.ring({ 'a,b': 3 })
    await vi.waitFor(() => expect(woken.toSorted()).toEqual(['both', 'declared']))
  })

  test('behavior: without names any ring wakes', async () => {
    const { bell, woken, wait } = await setup()
    const waiting = wait('any')
    await bell.ring({ whatever: 1 })
    await waiting
    expect(woken).toEqual(['any'])
  })

  test('behavior: everyone is woken by the ring for everyone', async () => {
    const { bell, woken, wait } = await setup()
    const waiting = [wait('one', { names: ['x', 'everyone'] }), wait('two', { names: ['y', 'everyone'] })]
    await bell.ring(ringEveryone)
    await Promise.all(waiting)
    expect(woken).toHaveLength(2)
  })
})

describe('wait', () => {
  test('behavior: a new wait with the same key replaces the old one', async () => {
    const { bell, woken, wait } = await setup()
    const old = wait('one', { names: ['a'] })
    const replacement = wait('one', { names: ['a'] })
    expect(await old).toMatchObject({ isReplaced: true })
    expect(woken).toEqual(['one'])
    await bell.ring({ a: 1 })
    expect(await replacement).toMatchObject({ isReplaced: false, rung: ['a'] })
  })

  test('behavior: one that was replaced takes no ring from others', async () => {
    const { bell, woken, wait } = await setup()
    void wait('one', { names: ['a'] })
    void wait('two', { names: ['a'] })
    void wait('one', { names: ['b'] })
    await bell.ring({ a: 1 })
    await vi.waitFor(() => expect(woken).toEqual(['one', 'two']))
  })

  test('behavior: ends when the caller leaves, and takes no ring from others', async () => {
    const { bell, woken, wait } = await setup()
    const leaving = new AbortController()
    const left = wait('left', { names: ['a'] }, leaving.signal)
    const stays = wait('stays', { names: ['a'] })
    leaving.abort()
    await left
    await bell.ring({ a: 1 })
    await stays
    expect(woken).toEqual(['left', 'stays'])
  })

  test('behavior: does not begin for a caller that has left', async () => {
    const { wait } = await setup()
    await wait('left', {}, AbortSignal.abort())
  })

  test('behavior: ends when the time is over', async () => {
    const { wait, ticket } = await setup()
    expect(await wait('one', { waitMs: 5 })).toEqual({ ...ticket, rung: [], isReplaced: false })
    expect(await wait('one', { waitMs: 0 })).toEqual({ ...ticket, rung: [], isReplaced: false })
  })
})

test('bells: a topic is one bell, and topics do not hear each other', async () => {
  const bells = createBells()
  const ticket = await bells('claims').ticket()
  const waiting = bells('claims').wait({ ticket, key: 'one', waitMs: longMs })
  await bells('control').ring(ringEveryone)
  expect((await bells('claims').ticket()).seq).toBe(ticket.seq)
  await bells('claims').ring({ a: 1 })
  expect((await waiting).seq).toBe(ticket.seq + 1)
})

describe('early ring', () => {
  test('default: is repeated for who has looked in vain, and for nobody else', async () => {
    const { bell, wait, woken } = await setup()
    const early = createEarlyRing(() => bell)
    const first = wait('one', { names: ['a'] })
    void wait('two', { names: ['a'] })
    early.ring({ a: 1 })
    early.ring({ a: 1 })
    const again = wait('one', { names: ['a'], ticket: await first })
    await early.confirm({ a: 1 })
    await again
    expect(woken).toEqual(['one', 'one'])
  })

  test('behavior: whoever looks while it is repeated looks again', async () => {
    const { bell, wait } = await setup()
    const early = createEarlyRing(() => bell)
    early.ring({ a: 1 })
    const looking = await bell.ticket()
    await early.confirm({ a: 1 })
    await wait('one', { names: ['a'], ticket: looking })
  })

  test('behavior: one that was lost, or whose bell has vanished, is a ring like any', async () => {
    const { bell, wait, woken } = await setup()
    const ring = vi.fn(bell.ring).mockRejectedValueOnce(new Error('lost'))
    const lost = createEarlyRing(() => ({ ...bell, ring }))
    const first = wait('one', { names: ['a'] })
    lost.ring({ a: 1 })
    await lost.confirm({ a: 1 })
    await first
    const second = wait('two', { names: ['a'] })
    await bell.ring({ a: 1 }, { epoch: 'another', seq: 99 })
    await second
    expect(woken).toEqual(['one', 'two'])
  })

  test('behavior: without it there is nothing to repeat; of nothing stored no one is told', async () => {
    const { bell, ticket } = await setup()
    expect(await createEarlyRing(() => bell).confirm({ a: 1 })).toBe(false)
    const early = createEarlyRing(() => bell)
    early.ring({ a: 1 })
    expect(await early.confirm({})).toBe(true)
    expect((await bell.ticket()).seq).toBe(ticket.seq + 1)
  })
})

describe('ringer', () => {
  /** A ringer over a bell whose rings last until `finish`. */
  function setupRinger() {
    const clock = { ms: 0 }
    const rings: { ring: object; finish(): void }[] = []
    const bells = () => ({
      ...createBell(),
      ring: (ring: object) =>
        new Promise<Ticket>(resolve =>
          rings.push({ ring, finish: () => resolve({ epoch: 'one', seq: rings.length }) }),
        ),
    })
    return { clock, rings, ring: createRinger({ bells, now: () => clock.ms }) }
  }

  test('default: rings that come during a ring are added up and follow it', async () => {
    const { rings, ring } = setupRinger()
    const first = ring({ a: 1 })
    await ring({ a: 2, b: 1 })
    await ring({ a: 1 })
    expect(rings.map(({ ring }) => ring)).toEqual([{ a: 1 }])
    rings[0]!.finish()
    await vi.waitFor(() => expect(rings).toHaveLength(2))
    expect(rings[1]!.ring).toEqual({ a: 3, b: 1 })
    rings[1]!.finish()
    await first
  })

  test('behavior: a ring whose request died holds up the next for a second at most', async () => {
    const { clock, rings, ring } = setupRinger()
    void ring({ a: 1 })
    clock.ms = 1_000
    void ring({ b: 1 })
    expect(rings.map(({ ring }) => ring)).toEqual([{ a: 1 }, { b: 1 }])
  })
})

describe('a ring for who has labels', () => {
  const route = routeOf(['a'], { gpu: 'H100' })
  const h100 = { labels: { gpu: ['nvidia h100'] }, gpu_labels: [] }

  test('default: wakes who has them, on the host or with the container', async () => {
    const { bell, wait, woken } = await setup()
    const t4 = { labels: { gpu: ['tesla t4'] }, gpu_labels: [] }
    const given = { labels: {}, gpu_labels: [{ id: 'a', labels: { gpu: ['nvidia h100'] } }] }
    const elsewhere = { labels: {}, gpu_labels: [{ id: 'b', labels: { gpu: ['nvidia h100'] } }] }
    for (const [key, host] of Object.entries({ t4, elsewhere, given, h100 }))
      void wait(key, { names: ['a', 'b'], host })
    void wait('without', { names: ['a'] })
    await bell.ring({ [route]: 5 })
    await vi.waitFor(() => expect(woken).toEqual(['given', 'h100']))
  })

  test('behavior: what is required is read once for all who wait, and not for who lacks a container', async () => {
    const { bell, ticket, wait, woken } = await setup()
    const parse = vi.spyOn(JSON, 'parse')
    onTestFinished(() => parse.mockRestore())
    for (let index = 0; index < 50; index += 1)
      void wait(`t4-${index}`, { names: ['a'], host: { labels: {}, gpu_labels: [] } })
    for (const key of ['first', 'second']) void wait(key, { names: ['a', 'b'], host: h100 })
    parse.mockClear()
    await bell.ring({ [route]: 1, [routeOf(['b', 'c'], { gpu: 'T4' })]: 1 })
    expect(parse).toHaveBeenCalledTimes(1)
    // A wait that has missed both looks at what it serves alone.
    await bell.wait({ ticket, key: 'c', names: ['c'], host: h100, waitMs: 1 })
    expect(parse).toHaveBeenCalledTimes(1)
    expect(woken).toEqual(['first'])
  })
})
