import { open } from 'node:fs/promises'
import { limits } from '../protocol/limits.ts'
import type { Lease } from '../protocol/runner.ts'
import { createBackoff } from './backoff.ts'
import { DamagedError } from './damaged.ts'
import type { Edge } from './edge/connect.ts'
import { type Part, putPart } from './edge/put-part.ts'
import { isFinal, paceOf } from './edge/retry.ts'
import type { Notice } from './notice.ts'
import { type PartsUpload, partsOf } from './spool/entry.ts'
import type { Trouble } from './trouble.ts'

export type Uploader = {
  /**
   * Uploads a payload file part by part.
   * @throws EdgeError when the edge refuses it for good, DamagedError, or a file system's error, after which it may be tried again.
   */
  upload(lease: Lease, upload: PartsUpload): Promise<void>
}

/** Parts in flight, all payloads together: bounds memory to 2 MiB. */
const lanes = 4

export function createUploader({
  edge,
  trouble,
  back,
  signal,
}: {
  edge: Edge
  trouble: Trouble
  /** Posted when the edge is back. */
  back: Notice
  signal: AbortSignal
}): Uploader {
  let free = lanes
  const queue: (() => void)[] = []

  async function inLane(work: () => Promise<void>): Promise<void> {
    if (free > 0) free--
    else await new Promise<void>(resolve => queue.push(resolve))
    try {
      await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else free++
    }
  }

  async function putUntilStored(part: Part): Promise<void> {
    const backoff = createBackoff()
    for (;;) {
      try {
        await putPart(edge, part, signal)
        return trouble.over()
      } catch (error) {
        if (signal.aborted || isFinal(error)) throw error
        trouble.failed(error)
        await back.wait(signal, paceOf(error, backoff))
      }
    }
  }

  return {
    async upload(lease, { kind, path, bytes }) {
      const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
        throw cause.code === 'ENOENT' ? new DamagedError(`The payload ${path} is gone`, { cause }) : cause
      })
      try {
        const puts = Array.from({ length: partsOf(bytes) }, (_, seq) =>
          inLane(async () => {
            const part = Buffer.allocUnsafe(Math.min(limits.partBytes, bytes - seq * limits.partBytes))
            const { bytesRead } = await file.read(part, 0, part.length, seq * limits.partBytes)
            // The rest of the buffer would be whatever this process had in memory before.
            if (bytesRead < part.length)
              throw new DamagedError(`The payload ${path} is shorter than it was stored`)
            await putUntilStored({ lease, kind, seq, bytes: part })
          }),
        )
        // All of them end before the file is closed, also when one has failed.
        const ended = await Promise.allSettled(puts)
        const failed = ended.find(put => put.status === 'rejected')
        if (failed) throw failed.reason
      } finally {
        await file.close()
      }
    },
  }
}
