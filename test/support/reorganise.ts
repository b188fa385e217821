import type { Address } from 'viem'
import type { TestChain } from './chain.ts'

/**
 * `depth`: blocks that are mined anew. `kept`: whether others' transactions in them come again, in the first of the new blocks. `node`: whose
 * transactions do not in any case.
 */
export type Reorganisation = { depth: number; kept: boolean; node: Address }

/** Mines the last blocks anew, as a branch that took others' part would have them. */
export async function reorganise(
  { deployer: { chain } }: TestChain,
  { depth, kept, node }: Reorganisation,
): Promise<void> {
  const request = chain.request as (call: { method: string; params: unknown[] }) => Promise<unknown>
  const head = await chain.getBlockNumber({ cacheTime: 0 })
  const numbers = Array.from({ length: depth }, (_, index) => head - BigInt(depth - 1 - index))
  const blocks = await Promise.all(
    numbers.map(blockNumber => chain.getBlock({ blockNumber, includeTransactions: true })),
  )
  const others = blocks
    .flatMap(({ transactions }) => transactions)
    .filter(({ from }) => from !== node.toLowerCase())
  const raws = await Promise.all(
    others.map(({ hash }) => request({ method: 'eth_getRawTransactionByHash', params: [hash] })),
  )
  await request({ method: 'anvil_reorg', params: [depth, kept ? raws.map(raw => [raw, 0]) : []] })
}
