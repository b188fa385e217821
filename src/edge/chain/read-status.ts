import type { ChainConfig } from './chain.ts'
import { readFirstStatuses } from './read-status-first.ts'
import { readReaderStatuses } from './read-status-reader.ts'
import type { Statuses, StatusQuestion } from './status.ts'

/** Ids of a page that a chain's nodes have managed of late. Only a hint: it may be lost, or another isolate's. */
const sizes = new WeakMap<ChainConfig, number>()

/**
 * Reads subscriptions and what a node decides by, in as few requests as the deployment allows. An input is told where an answer is still
 * to be given: the interval is open, has room, and this node has not answered.
 * @throws RpcUnavailable
 */
export async function readStatuses(question: StatusQuestion): Promise<Statuses> {
  const { chain, contracts, ids } = question
  if (ids.length === 0) return { statuses: new Map(), failed: [] }
  const { batchSize } = chain.config
  const size = sizes.get(chain.config) ?? batchSize
  const read = contracts.features.status ? readReaderStatuses : readFirstStatuses
  const { statuses, failed, halved } = await read({ ...question, size })
  sizes.set(chain.config, halved ? Math.max(1, Math.floor(size / 2)) : Math.min(batchSize, size * 2))
  return { statuses, failed: failed.sort((a, b) => a - b) }
}
