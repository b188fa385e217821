import { toBlock } from '../block.ts'
import type { Block } from '../chain.ts'
import type { Head } from '../head.ts'

/** What a head says of the blocks that were known: they are `same`, it is `behind` them, or it has `forked` off. */
export type Trust = 'same' | 'behind' | 'forked'

/**
 * `known`: the block that was believed last. `mined`: the newest block at the last look, where it is another; what the chain now has there is
 * the first of `head.extra`. null: not known.
 */
export function trustIn(head: Head, { known, mined }: { known: Block | null; mined: Block | null }): Trust {
  const trusts = [
    known === null ? 'same' : compare(known, { number: head.block.number, hash: head.knownHash }),
    mined === null
      ? 'same'
      : compare(mined, { number: head.latest.number, hash: toBlock(head.extra[0])?.hash ?? null }),
  ] satisfies Trust[]
  // Of an endpoint that lags, what differs may only be not there yet.
  return trusts.find(trust => trust === 'behind') ?? trusts.find(trust => trust === 'forked') ?? 'same'
}

function compare(before: Block, { number, hash }: { number: number; hash: string | null }): Trust {
  if (number < before.number || hash === null) return 'behind'
  return hash === before.hash ? 'same' : 'forked'
}
