import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DamagedError } from '../damaged.ts'
import { onDisk } from '../disk.ts'
import { syncDirectory } from '../spool/sync.ts'

/** A part of a tape: a file whose name is the offset at which it begins. */
export type Segment = { from: number; bytes: number }

/** The files of a tape, one after another without a gap. */
export type Segments = {
  /** The first byte that is still there, and the end. */
  from(): number
  end(): number
  /** Makes the first file, unless there is one. @throws DiskError */
  begin(): Promise<void>
  /** After an error it may be tried again with the same bytes. @throws DiskError */
  append(bytes: Uint8Array): Promise<void>
  /** Bytes from an offset on, as many as have room, at least one. @throws DiskError, DamagedError when they are not there. */
  read(at: number, into: Uint8Array): Promise<Uint8Array>
  /** Removes the files that lie before an offset as a whole. */
  drop(before: number): Promise<void>
  /** Makes all of them durable. @throws DiskError */
  sync(): Promise<void>
  close(): Promise<void>
}

export type SegmentsOptions = {
  directory: string
  segmentBytes: number
  /** What is there already. */
  found: readonly Segment[]
  /** The files take so many bytes more, or less. */
  onGrown: (bytes: number) => void
}

const digits = 15
const named = /^\d{15}\.part$/

/** The offset that a file's name says; null when it is not one of these files. */
export function offsetOf(name: string): number | null {
  return named.test(name) ? Number.parseInt(name, 10) : null
}

export function segmentPath(directory: string, from: number): string {
  return join(directory, `${String(from).padStart(digits, '0')}.part`)
}

export function createSegments({ directory, segmentBytes, found, onGrown }: SegmentsOptions): Segments {
  type Open = Segment & { file: FileHandle | null }
  const kept: Open[] = found.map(segment => ({ ...segment, file: null }))

  const endOf = (segment: Segment | undefined) => (segment ? segment.from + segment.bytes : 0)
  const end = () => endOf(kept.at(-1))

  async function handleOf(segment: Open): Promise<FileHandle> {
    if (segment.file !== null) return segment.file
    const path = segmentPath(directory, segment.from)
    const opening = open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ENOENT' ? new DamagedError(`${path} is gone`, { cause }) : cause
    })
    segment.file = await onDisk(opening)
    return segment.file
  }

  async function begin(): Promise<Open> {
    const from = end()
    const file = await onDisk(open(segmentPath(directory, from), 'w+', 0o600))
    const segment = { from, bytes: 0, file }
    kept.push(segment)
    return segment
  }

  return {
    from: () => kept[0]?.from ?? 0,
    end,
    async begin() {
      if (kept.length === 0) await begin()
    },
    async append(bytes) {
      const last = kept.at(-1)
      const segment = last === undefined || last.bytes >= segmentBytes ? await begin() : last
      const file = await handleOf(segment)
      // At its place, so that a second try covers what a first one has left.
      for (let done = 0; done < bytes.length; ) {
        const at = segment.bytes + done
        done += (await onDisk(file.write(bytes, done, bytes.length - done, at))).bytesWritten
      }
      segment.bytes += bytes.length
      onGrown(bytes.length)
    },
    async read(at, into) {
      const segment = kept.find(one => at >= one.from && at < endOf(one))
      if (segment === undefined) throw new DamagedError(`Output at ${at} of ${directory} is gone`)
      const file = await handleOf(segment)
      const bytes = into.subarray(0, endOf(segment) - at)
      const { bytesRead } = await onDisk(file.read(bytes, 0, bytes.length, at - segment.from))
      // The rest of the buffer would be whatever this process had in memory before.
      if (bytesRead === 0) throw new DamagedError(`Output in ${directory} is shorter than it was`)
      return bytes.subarray(0, bytesRead)
    },
    async drop(before) {
      while (kept.length > 1 && kept[0] && endOf(kept[0]) <= before) {
        const { from, bytes, file } = kept.shift() as Open
        onGrown(-bytes)
        await file?.close()
        // What stays goes with the whole directory.
        await rm(segmentPath(directory, from), { force: true }).catch(() => {})
      }
    },
    async sync() {
      await onDisk(Promise.all(kept.map(async segment => (await handleOf(segment)).datasync())))
      await onDisk(syncDirectory(directory))
    },
    async close() {
      const files = kept.map(({ file }) => file)
      for (const segment of kept) segment.file = null
      await Promise.all(files.map(file => file?.close()))
    },
  }
}
