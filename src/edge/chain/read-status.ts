import type { ChainConfig } from './chain.ts'
import { anchorCall, nextIdOf } from './next-id.ts'
import { readFirstStatuses } from './read-status-first.ts'
import { readReaderStatuses } from './read-status-reader.ts'
import type { Statuses, StatusQuestion } from './status.ts'

/** Ids of a page that a chain's nodes have managed of late. Only a hint: it may be lost, or another isolate's. */
const sizes = new WeakMap<ChainConfig, number>()

/**
 * Reads subscriptions and what a node decides by, in as few requests as the deployment allows. An input is told where an answer is still
 * to be given: the interval is open, has room, and this node has not answered. What is in neither map nor list is not there by the
 * coordinator's own count at the same block: one below it cannot be gone, and whoever says so has not got the block.
 * @throws RpcUnavailable
 */
export async function readStatuses(question: StatusQuestion): Promise<Statuses> {
  const { chain, contracts, ids } = question
  if (ids.length === 0) return nothing
  const { batchSize } = chain.config
  const size = sizes.get(chain.config) ?? batchSize
  const read = contracts.features.status ? readReaderStatuses : readFirstStatuses
  const { statuses, failed, unasked, halved } = await read({ ...question, size })
  sizes.set(chain.config, halved ? Math.max(1, Math.floor(size / 2)) : Math.min(batchSize, size * 2))
  const known = new Set([...statuses.keys(), ...failed, ...unasked])
  const missing = ids.filter(id => !known.has(id))
  const end = missing.length === 0 ? 0 : await readNextId(question)
  const lost = missing.filter(id => id < end)
  const found = lost.length === 0 ? nothing : await read({ ...question, ids: lost, size, end })
  return {
    statuses: new Map([...statuses, ...found.statuses]),
    failed: [...failed, ...found.failed].sort((a, b) => a - b),
    unasked: [...unasked, ...found.unasked].sort((a, b) => a - b),
  }
}

const nothing: Statuses = { statuses: new Map(), failed: [], unasked: [] }

async function readNextId({ chain, contracts, block }: StatusQuestion): Promise<number> {
  const [answer] = await chain.rpc.send([anchorCall(contracts, { at: block.number, ids: [] })])
  return nextIdOf(answer)
}
