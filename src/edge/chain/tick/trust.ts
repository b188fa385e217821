import { blockCall, toBlock } from '../block.ts'
import type { Block } from '../chain.ts'
import type { Head } from '../head.ts'
import type { RpcCall } from '../rpc.ts'
import type { Memory } from './memory.ts'
import type { Work } from './work.ts'

/**
 * What a head says of the blocks that were known: they are `same`, it is `behind` them, or has `forked` off; or it is too `early` for what the
 * journal has, be it that its endpoint lags.
 */
export type Trust = 'same' | 'behind' | 'early' | 'forked'

/**
 * What a head is compared with. `known`: the block that was believed last. `latest`: the newest at the last look, as answers are mined above the
 * one that is believed, where a chain is trailed. `noted`: the top of the journal, which may be of a block that this ticker has not got to the
 * end of: it has failed there, or another one has been there. null: there is none, or it is one of the others, or the chain was seen to have it.
 */
export type Compared = { known: Block | null; latest: Block | null; noted: Block | null }

export function comparedWith(
  { block, latest, noted: seen }: Pick<Memory, 'block' | 'latest' | 'noted'>,
  { cursor, noted }: Pick<Work, 'cursor' | 'noted'>,
): Compared {
  const known = block ?? cursor.head
  return {
    known,
    latest: latest !== null && isNoneOf(latest, [known]) ? latest : null,
    noted: noted !== null && isNoneOf(noted, [known, latest, seen]) ? noted : null,
  }
}

/** Asks for what the chain has by now where they were, but for `known`, that any head tells of. */
export function comparedCalls({ latest, noted }: Compared): RpcCall[] {
  return [latest, noted].flatMap(block => (block === null ? [] : [blockCall(block.number)]))
}

/** Whether a block is another than these. */
export function isNoneOf({ hash }: Block, blocks: readonly (Block | null)[]): boolean {
  return blocks.every(block => block?.hash !== hash)
}

/** `head.extra`: the answers to `comparedCalls`. */
export function trustIn(head: Head, { known, latest, noted }: Compared): Trust {
  const { number } = head.latest
  const extra = head.extra.map(answer => toBlock(answer)?.hash ?? null)
  const own = [
    compare(known, { number: head.block.number, hash: head.knownHash }),
    compare(latest, { number, hash: extra[0] ?? null }),
  ]
  const journal = compare(noted, { number, hash: extra.at(-1) ?? null })
  // Of an endpoint that lags, what differs may only be not there yet.
  if (own.includes('behind')) return 'behind'
  if (journal === 'behind') return 'early'
  return [...own, journal].includes('forked') ? 'forked' : 'same'
}

function compare(
  before: Block | null,
  { number, hash }: { number: number; hash: string | null },
): 'same' | 'behind' | 'forked' {
  if (before === null) return 'same'
  if (number < before.number || hash === null) return 'behind'
  return hash === before.hash ? 'same' : 'forked'
}
