import { expect } from 'vitest'
import { type Asker, type ChainSystem, nameOf } from './asker.ts'
import { until } from './until.ts'

/** Seconds between the intervals of what recurs. */
export const hour = 3_600

/** Ids of subscriptions: those with one answer, and those with three. */
export type Asked = { once: number[]; recurring: number[] }

/** Callbacks, lazy ones, and recurring ones of three intervals; of each kind so many. */
export async function askAll(asker: Asker, each = 2): Promise<Asked> {
  const ids = await Promise.all(
    Array.from({ length: each }, () => [
      asker.ask(),
      asker.ask({ lazy: true }),
      asker.ask({ frequency: 3, period: hour }),
    ]).flat(),
  )
  return {
    once: ids.filter((_, index) => index % 3 < 2),
    recurring: ids.filter((_, index) => index % 3 === 2),
  }
}

/** Waits until each was answered so often. None may be answered more often, and no other at all. */
export async function answered(asker: Asker, expected: ReadonlyMap<number, number>): Promise<void> {
  await until(`answered so often: ${JSON.stringify([...expected])}`, async () => {
    const answers = await asker.answers()
    return [...expected].every(([id, count]) => (answers.get(id) ?? 0) >= count)
  })
  expect(await asker.answers()).toEqual(expected)
}

export function times(count: number, ids: readonly number[]): ReadonlyMap<number, number> {
  return new Map(ids.map(id => [id, count]))
}

/** Puts the chain's clock forward through all intervals of what recurs. */
export async function answeredThrough(asker: Asker, { once, recurring }: Asked): Promise<void> {
  await answered(asker, times(1, once))
  for (const interval of [1, 2, 3]) {
    await asker.chain.warp(hour)
    await answered(asker, new Map([...times(1, once), ...times(interval, recurring)]))
  }
}

/** How often the container was called for each. */
export function runsOf(system: ChainSystem, asker: Asker, ids: readonly number[]): Map<number, number> {
  return new Map(ids.map(id => [id, system.container.calls(nameOf(asker.chain.id, id))]))
}

/** Calls for the first subscriptions of a chain get no answer from the container until the result is called. */
export async function holdFirst(
  system: ChainSystem,
  asker: Asker,
  count: number,
): Promise<() => Promise<void>> {
  const names = Array.from({ length: count }, (_, index) => nameOf(asker.chain.id, index + 1))
  await system.container.hold(...names)
  return async () => await system.container.release(...names)
}
