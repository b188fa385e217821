import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Lease } from '../../protocol/runner.ts'
import { onDisk } from '../disk.ts'
import { createNotice, type Notice } from '../notice.ts'
import { syncDirectory } from '../spool/sync.ts'
import type { Bounds } from './bounds.ts'
import { createRing } from './ring.ts'
import type { Segments } from './segments.ts'

/**
 * The output of one streaming job, by offsets, from what the edge may still need on. On disk, so that it outlives the process, and its
 * end in memory too. One writes, one reads.
 */
export type Tape = {
  readonly lease: Lease
  /** Its directory. */
  readonly path: string
  /** The first byte that is kept, and the end. */
  from(): number
  bytes(): number
  /** No more comes. */
  ended(): boolean
  /** In the file, and only then to be read: nothing reaches the edge that a successor would not find. @throws DiskError */
  append(bytes: Uint8Array): Promise<void>
  end(): void
  /** A piece from an offset on, in `into`. @throws DiskError, DamagedError */
  read(at: number, into: Uint8Array): Promise<Uint8Array>
  /** How far the upload is. */
  sent(at: number): void
  /** Bytes that the upload has not sent. */
  ahead(): number
  /** The edge needs nothing before this offset. */
  acknowledge(have: number): Promise<void>
  /** Makes durable what there is, and the line that reports it. @throws DiskError */
  seal(line: string): Promise<void>
  close(): Promise<void>
  /** Posted when there is more to read, or no more to come. */
  readonly arrived: Notice
  /** Posted when the upload has got on. */
  readonly moved: Notice
}

export type TapeOptions = {
  lease: Lease
  path: string
  segments: Segments
  /** What has to be on the disk before its first byte; tried again with the next byte. @throws DiskError */
  prepare: () => Promise<void>
  /** False: one that is being written. */
  ended: boolean
  bounds: Bounds
}

export const lineName = 'line.json'

export function createTape({ lease, path, segments, prepare, ended: over, bounds }: TapeOptions): Tape {
  const ring = over ? null : createRing(bounds.ringBytes)
  const arrived = createNotice()
  const moved = createNotice()
  let ended = over
  let sentTo = segments.from()
  let prepared: Promise<void> | null = null

  function prepareOnce(): Promise<void> {
    prepared ??= prepare().catch(error => {
      prepared = null
      throw error
    })
    return prepared
  }

  // Whoever appends is told.
  prepareOnce().catch(() => undefined)

  return {
    lease,
    path,
    from: segments.from,
    bytes: segments.end,
    ended: () => ended,
    async append(bytes) {
      await prepareOnce()
      await segments.append(bytes)
      ring?.push(bytes)
      arrived.post()
    },
    end() {
      ended = true
      arrived.post()
    },
    read: async (at, into) => ring?.read(at, into) ?? (await segments.read(at, into)),
    sent(at) {
      sentTo = at
      moved.post()
    },
    ahead: () => segments.end() - sentTo,
    acknowledge: have => segments.drop(have - bounds.marginBytes),
    async seal(line) {
      // Side by side, as all wait for the same journal. What the line says of the output tells whether all of that is there.
      await Promise.all([
        onDisk(writeFile(join(path, lineName), line, { mode: 0o600, flush: true })),
        segments.sync(),
        onDisk(syncDirectory(dirname(path))),
      ])
    },
    async close() {
      await prepared?.catch(() => undefined)
      await segments.close()
    },
    arrived,
    moved,
  }
}
