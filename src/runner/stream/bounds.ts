import { limits } from '../../protocol/limits.ts'

/** Of one stream. Sizes are bytes, times are milliseconds. */
export type Bounds = {
  /** How long a container may send nothing, from its first byte on. */
  idleMs: number
  /** Of one request that uploads, and how long it is kept open. */
  partBytes: number
  partMs: number
  /**
   * Output goes out at once after a pause of this, else within it, or as soon as there is so much. Shorter than what is between two tokens:
   * one that is late would make every one after it wait.
   */
  pauseMs: number
  pieceBytes: number
  /** A container is read so far ahead of what its upload has sent. */
  aheadBytes: number
  /** Kept of what the edge has: beyond what it stores, that is only passed on, and a relay that dies takes along what was under way. */
  marginBytes: number
  /** One file of a tape. */
  segmentBytes: number
  /** The end of the output that is in memory, so that what is live is not read from the disk. */
  ringBytes: number
  /** How long the edge may want output that is gone, before the stream is given up. */
  missingMs: number
}

export const bounds: Bounds = {
  idleMs: limits.streamIdleMs,
  partBytes: limits.streamPartBytes,
  partMs: limits.streamPartMs,
  pauseMs: 5,
  pieceBytes: 64 * 1024,
  aheadBytes: 4 * 1024 * 1024,
  marginBytes: 1024 * 1024,
  segmentBytes: 8 * 1024 * 1024,
  ringBytes: 256 * 1024,
  missingMs: 30_000,
}
