import type { ScratchSpace } from './job/scratch.ts'
import type { Log } from './log.ts'
import type { Reporter } from './report.ts'
import type { Spool } from './spool/spool.ts'

/** What waits for the edge, on disk and in memory, and how much of it there may be. */
export type SpoolRoom = {
  bytes(): number
  /** Measures. Told in the log when it changes. */
  fills(): boolean
  /** As it was last measured. */
  isFull(): boolean
}

export type SpoolRoomOptions = {
  spool: Pick<Spool, 'bytes'>
  scratchSpace: Pick<ScratchSpace, 'bytes'>
  reporter: Pick<Reporter, 'waitingBytes'>
  maxBytes: () => number
  log: Log
}

export function createSpoolRoom({
  spool,
  scratchSpace,
  reporter,
  maxBytes,
  log,
}: SpoolRoomOptions): SpoolRoom {
  let full = false
  const bytes = () => spool.bytes() + scratchSpace.bytes() + reporter.waitingBytes()

  return {
    bytes,
    fills() {
      const isFull = bytes() >= maxBytes()
      if (isFull && !full) log.warn('The spool is full, claiming no jobs until results are reported')
      if (!isFull && full) log.info('The spool has room again')
      full = isFull
      return full
    },
    isFull: () => full,
  }
}
