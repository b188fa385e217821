import type { Contracts } from '../chain.ts'
import type { RouteFinder } from '../containers.ts'
import type { Step } from '../step.ts'

/** Where requests for one chain come in. */
export type Door = Omit<Step, 'contracts' | 'block' | 'latest' | 'gapSeconds'> & {
  contracts: Contracts
  routes: RouteFinder
  /** Unix milliseconds of this machine. */
  now(): number
}
