import type { Chain, Contracts } from '../chain.ts'
import type { RouteFinder } from '../containers.ts'
import type { WalletWatch } from '../node-wallet.ts'
import type { Step } from '../step.ts'

/** Where requests for one chain come in. */
export type Door = Omit<Step, 'contracts' | 'nodeWallet' | 'block' | 'latest' | 'gapSeconds'> & {
  contracts: Contracts
  wallet: WalletWatch
  routes: RouteFinder
  /** Unix milliseconds of this machine. */
  now(): number
  /** Tells the endpoints of the highest block that this node has looked at. */
  noteHead(head: number): void
}

/** Each head once: what the pool has learnt since is newer than what is still stored. */
export function createNoteHead({ rpc }: Pick<Chain, 'rpc'>): Door['noteHead'] {
  let noted = 0
  return head => {
    if (head === noted) return
    noted = head
    rpc.noteHead(head)
  }
}
