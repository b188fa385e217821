import type { Hex } from 'viem'
import { encodeAbiParameters, keccak256 } from 'viem/utils'
import { routeOf } from './container.ts'

/** What subscriptions have for a chain of containers, whose ids are given in order (reference node 2.7). In lower case. */
export function containersHash(containers: readonly string[]): Hex {
  return containerIdOf(routeOf(containers))
}

/** The same of the canonical name: `keccak256(abi.encode(string))`, as consumers hash it. */
export function containerIdOf(route: string): Hex {
  return keccak256(encodeAbiParameters([{ type: 'string' }], [route]))
}
