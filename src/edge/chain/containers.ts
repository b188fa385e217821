import type { Hex } from 'viem'
import { routeOf } from '../../protocol/container.ts'
import { containerIdOf } from '../../protocol/container-hash.ts'
import { limits } from '../../protocol/limits.ts'
import type { PolicySnapshot } from '../runners/policy.ts'

/** Tells which containers a subscription asks for: the chain has only a hash of their names. */
export type RouteFinder = {
  /** @returns a route; null: no selection of the policy's containers hashes to this, as far as was looked. */
  find(policy: Pick<PolicySnapshot, 'epoch' | 'containers'>, containerId: Hex): string | null
}

/**
 * Selections of several containers that are hashed under one policy at most: all of up to seven containers, all triples of 27, all pairs
 * of 141. All of eleven, which the reference hashes, are 108 million.
 */
const maxSelections = 20_000

type Index = { epoch: number; routes: Map<string, string>; left: Iterator<string> }

/** One for an isolate: it remembers the hashes of the policy that it was last asked about. */
export function createRouteFinder(): RouteFinder {
  let index: Index | undefined
  return {
    find({ epoch, containers }, containerId) {
      if (index?.epoch !== epoch) index = createIndex(epoch, [...containers.keys()])
      return look(index, containerId.toLowerCase())
    },
  }
}

function createIndex(epoch: number, names: readonly string[]): Index {
  // In one order, so that every isolate looks through the same selections before it gives up.
  const sorted = names.toSorted()
  const routes = new Map(sorted.map(name => [containerIdOf(name), name]))
  return { epoch, routes, left: selections(sorted).take(maxSelections) }
}

function look({ routes, left }: Index, containerId: string): string | null {
  const known = routes.get(containerId)
  if (known !== undefined) return known
  for (let next = left.next(); !next.done; next = left.next()) {
    const hash = containerIdOf(next.value)
    routes.set(hash, next.value)
    if (hash === containerId) return next.value
  }
  return null
}

/** Ordered selections without repetition of two and more, the shortest first. */
function* selections(names: readonly string[]): Generator<string> {
  const longest = Math.min(names.length, limits.chainContainers)
  for (let length = 2; length <= longest; length += 1) yield* selectionsOf(names, length, [])
}

function* selectionsOf(
  names: readonly string[],
  length: number,
  chosen: readonly string[],
): Generator<string> {
  if (chosen.length === length) return yield routeOf(chosen)
  for (const name of names) {
    if (!chosen.includes(name)) yield* selectionsOf(names, length, [...chosen, name])
  }
}
