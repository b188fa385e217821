import { type Address, keccak256, toBytes } from 'viem'

/** Other nodes that answer the same subscriptions, by their signers, and how many blocks one goes after another. Lower case. */
export type Stagger = { peers: readonly Address[]; blocks: number }

export type Turn = {
  chain: number
  subscription: number
  interval: number
  /** This node's signer. */
  self: Address
  peers: readonly Address[]
}

/**
 * This node's place among those that answer an interval, from 0: by a hash, so that each node that knows the same ones finds the same order, and
 * none is always first.
 */
export function placeOf({ chain, subscription, interval, self, peers }: Turn): number {
  const rank = (address: Address) =>
    keccak256(toBytes(`${chain}/${subscription}/${interval}/${address.toLowerCase()}`))
  const own = rank(self)
  return [...new Set(peers.map(rank))].filter(other => other < own).length
}

/**
 * Whether an interval takes fewer answers than there are nodes that are known to answer it: then somebody may come first, however the places are. Such an
 * answer goes by itself: what is lost of it is one transaction that reverts, where a batch would be paid for whole.
 */
export function isContested({
  redundancy,
  self,
  peers,
}: Pick<Turn, 'self' | 'peers'> & { redundancy: number }): boolean {
  const nodes = new Set([self, ...peers].map(address => address.toLowerCase()))
  return redundancy < nodes.size
}

/**
 * Blocks that an answer waits for those before it: as many as there are places go at once, each further one `blocks` later. `secondsLeft`: until it
 * would be too late; null: it never is. Of these half are not waited away, at the most that a block is known to take.
 */
export function waitOf(
  { place, redundancy, blocks }: { place: number; redundancy: number; blocks: number },
  { secondsLeft, gapSeconds }: { secondsLeft: number | null; gapSeconds: number },
): number {
  const wait = Math.max(0, place - redundancy + 1) * blocks
  if (secondsLeft === null) return wait
  return Math.max(0, Math.min(wait, Math.floor(secondsLeft / 2 / Math.max(1, gapSeconds))))
}
