import { open, rm } from 'node:fs/promises'
import { DiskError, onDisk } from './disk.ts'

/** Bytes that are not in memory: a file, or a body still at the edge. May be opened more than once. */
export type Source = { readonly bytes: number; open(signal: AbortSignal): AsyncIterable<Uint8Array> }

/** A JSON text in pieces, so that a large payload is spliced into a request or a result without ever being joined in memory. */
export type Rope = readonly (string | Source)[]

export function bytesOf(rope: Rope): number {
  return rope.reduce(
    (sum, piece) => sum + (typeof piece === 'string' ? Buffer.byteLength(piece) : piece.bytes),
    0,
  )
}

/** The whole text when all of it is in memory, else null. */
export function textOf(rope: Rope): string | null {
  return rope.every(piece => typeof piece === 'string') ? rope.join('') : null
}

export async function* readRope(rope: Rope, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (const piece of rope) {
    if (typeof piece === 'string') yield Buffer.from(piece)
    else yield* piece.open(signal)
  }
}

export function fileSource(path: string, bytes: number): Source {
  return {
    bytes,
    async *open() {
      const file = await onDisk(open(path, 'r'))
      try {
        // The stream would close the file by itself, but not when the reader leaves before its first read.
        yield* file.createReadStream({ autoClose: false })
      } catch (cause) {
        throw new DiskError(`${path} could not be read`, { cause })
      } finally {
        await file.close()
      }
    },
  }
}

/** Writes a rope to a new file and makes it durable; leaves no part of one. @throws DiskError */
export async function writeRope(path: string, rope: Rope, signal: AbortSignal): Promise<void> {
  const file = await onDisk(open(path, 'w', 0o600))
  try {
    for await (const chunk of readRope(rope, signal)) await onDisk(file.appendFile(chunk))
    await onDisk(file.datasync())
  } catch (error) {
    await rm(path, { force: true }).catch(() => {})
    throw error
  } finally {
    await onDisk(file.close())
  }
}
