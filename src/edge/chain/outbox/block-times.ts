import type { Hex } from 'viem'
import { readBlocks } from '../block.ts'
import type { Step } from '../step.ts'
import type { Receipt } from './receipt.ts'

/**
 * When each receipt's block was, in unix seconds, by its hash. The newest block is known; others are asked for, in one request. One that the
 * chain does not have any more is taken for as new as the newest: that it is gone is for others to find.
 */
export async function blockTimes(
  { chain, latest }: Step,
  receipts: Iterable<Receipt>,
): Promise<(receipt: Receipt) => number> {
  const times = new Map<Hex, number>([[latest.hash, latest.time]])
  const numbers = [...receipts].filter(({ blockHash }) => !times.has(blockHash)).map(({ block }) => block)
  const unknown = [...new Set(numbers)]
  const blocks = unknown.length === 0 ? [] : await readBlocks(chain.rpc, unknown)
  for (const block of blocks) if (block) times.set(block.hash, block.time)
  return ({ blockHash }) => times.get(blockHash) ?? latest.time
}
