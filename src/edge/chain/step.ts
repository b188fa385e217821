import type { Bells } from '../bell/bell.ts'
import type { Db } from '../db/open.ts'
import type { QueueBounds } from '../jobs/enqueue.ts'
import type { Log } from '../log.ts'
import type { PolicyCache } from '../runners/policy.ts'
import type { Block, Chain, Contracts } from './chain.ts'
import type { NodeWallet } from './node-wallet.ts'

/** Of jobs that a chain asks for. */
export type JobOptions = { bounds: QueueBounds; expiryMs: number }

/**
 * What a step of a tick works with. `block`: the one that is believed, by which pick-up and schedule go. `latest`: the newest, by which
 * deliveries go: they are mined after it. The same block, unless the chain is configured to be trailed. `gapSeconds`: from the newest block to
 * the next one, at the least, in block time.
 */
export type Step = {
  db: Db
  policy: PolicyCache
  bells: Bells
  log: Log
  jobs: JobOptions
  chain: Chain
  contracts: Contracts
  nodeWallet: NodeWallet
  block: Block
  latest: Block
  gapSeconds: number
}
