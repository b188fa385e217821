import type { Hex } from 'viem'
import type { Block, Contracts } from '../chain.ts'
import type { WalletWatch } from '../node-wallet.ts'
import { noPace, type Pace } from './pace.ts'
import type { Gaps } from './rhythm.ts'
import type { Work } from './work.ts'

/** What a tick remembers. All of it may be lost, and is read again. Times: unix milliseconds of this machine. */
export type Memory = {
  contracts: Contracts | null
  /** null: as long as the contracts are not known. */
  wallet: WalletWatch | null
  checkedAt: number | null
  /** What another configuration has decided was looked for. */
  isRejudged: boolean
  /** null: to be read again. */
  work: Work | null
  readAt: number
  /** It was read in this look. */
  isFresh: boolean
  prunedAt: number
  /** The block that was believed last, and the newest one. */
  block: Block | null
  latest: Block | null
  /** Of the tops that the journal has had, the last that the chain was seen to have. */
  noted: Block | null
  /** Since when the chain has been below a block that is known. `above`: that of the journal, where it is that. */
  behind: { since: number; above: Hex | null } | null
  pace: Pace
  gaps: Gaps
  /** What was due, or computed, could not go on at this block. */
  isHeld: boolean
  problem: string | null
  /** As the outbox last found the signer. Wei. */
  signerReport: { balance: bigint | null; blocked: string | null }
  /** Transactions on their way of signers that are not the node's any more, as they were last found. */
  left: number
  /** Ticks in a row that failed. */
  failures: number
}

export function createMemory(): Memory {
  return {
    contracts: null,
    wallet: null,
    checkedAt: null,
    isRejudged: false,
    work: null,
    isFresh: false,
    readAt: Number.NEGATIVE_INFINITY,
    prunedAt: Number.NEGATIVE_INFINITY,
    block: null,
    latest: null,
    noted: null,
    behind: null,
    pace: noPace,
    gaps: [],
    isHeld: false,
    problem: null,
    signerReport: { balance: null, blocked: null },
    left: 0,
    failures: 0,
  }
}
