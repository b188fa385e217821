import { type FileHandle, open, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as v from 'valibot'
import { ContainerId } from '../../protocol/container.ts'
import { Lease } from '../../protocol/runner.ts'
import { onDisk } from '../disk.ts'
import { createNotice, type Notice } from '../notice.ts'
import { syncDirectory } from '../spool/sync.ts'

/**
 * A container's output as it comes, on disk, and its newest part in memory as well. It lies in files of `segmentBytes` beside each other,
 * so that what the edge has can be dropped: a stream may be longer than a disk.
 */
export type Tape = {
  readonly path: string
  /** Bytes so far. */
  end(): number
  /** Nothing more comes. */
  isOver(): boolean
  /** Adds output. Resolves when there is room for more: the reader is not too far behind, nor the disk. @throws DiskError */
  append(bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** Resolves when all of it is durable. @throws DiskError */
  finish(): Promise<void>
  /** Bytes from an offset on, at least one and at most up to `to`. @throws DiskError */
  read(from: number, to: number): Promise<Uint8Array>
  /** Tells where the reader is. */
  reached(offset: number): void
  /** Forgets what is before an offset, as far as whole segments of it go. */
  drop(before: number): void
  /** Bytes in files. */
  diskBytes(): number
  /** Posted when something comes, or nothing more does, or the reader gets on. */
  readonly changed: Notice
  close(): Promise<void>
}

export type TapeOptions = { segmentBytes?: number; memoryBytes?: number; aheadBytes?: number }

/** What a tape is of, for whoever finds it. */
export type Label = v.InferOutput<typeof Label>

const Label = v.object({ ...Lease.entries, container: ContainerId })

const defaults = {
  segmentBytes: 8 * 1024 * 1024,
  /** Newest output, for a reader that keeps up. */
  memoryBytes: 1024 * 1024,
  /** How far the container may be ahead of the upload. */
  aheadBytes: 4 * 1024 * 1024,
} as const

/** Begins a tape. Its label is there before any of its bytes. @throws DiskError */
export async function createTape(path: string, label: Label, options: TapeOptions = {}): Promise<Tape> {
  await onDisk(writeFile(labelOf(path), JSON.stringify(label), { mode: 0o600 }))
  return tapeAt(path, { ...defaults, ...options, end: 0, isOver: false })
}

/** Opens a tape that an earlier process made, `bytes` long, to be read. */
export function openTape(path: string, bytes: number, options: TapeOptions = {}): Tape {
  return tapeAt(path, { ...defaults, ...options, end: bytes, isOver: true })
}

export function labelOf(path: string): string {
  return `${path}.label`
}

export function segmentOf(path: string, index: number): string {
  return `${path}.${index}`
}

/** Removes all that a tape has on disk. */
export async function removeTape(path: string): Promise<void> {
  const names = await filesOf(path)
  await Promise.all(names.map(name => unlink(join(dirname(path), name)).catch(() => {})))
}

/** The tape that a file belongs to. */
export function tapePathOf(file: string): string {
  return file.replace(/\.(\d+|label)$/, '')
}

/** Null when it cannot be read: what it would have told of is lost, and its job's lease lapses. */
export async function readLabel(path: string): Promise<Label | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Label), text)
  return parsed.success ? parsed.output : null
}

/** What is on disk: where the output ends, and how many bytes there are. Null: no tape. */
export async function lookAtTape(
  path: string,
  { segmentBytes = defaults.segmentBytes }: TapeOptions = {},
): Promise<{ end: number; heldBytes: number } | null> {
  const names = await filesOf(path)
  if (names.length === 0) return null
  const indexes = names.map(name => Number(name.slice(name.lastIndexOf('.') + 1))).filter(Number.isInteger)
  const sizes = await Promise.all(indexes.map(async index => (await stat(segmentOf(path, index))).size))
  const last = Math.max(...indexes)
  return {
    end: indexes.length === 0 ? 0 : last * segmentBytes + (sizes[indexes.indexOf(last)] ?? 0),
    heldBytes: sizes.reduce((sum, size) => sum + size, 0),
  }
}

/** Moves all that a tape has on disk. */
export async function moveTape(path: string, folder: string): Promise<void> {
  for (const name of await filesOf(path)) await rename(join(dirname(path), name), join(folder, name))
}

async function filesOf(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`
  return (await readdir(dirname(path)).catch(() => [])).filter(name => name.startsWith(prefix))
}

type Settled = Required<TapeOptions> & { end: number; isOver: boolean }

function tapeAt(path: string, { segmentBytes, memoryBytes, aheadBytes, ...begun }: Settled): Tape {
  const changed = createNotice()
  /** What is not written yet, and the newest before it. */
  const recent: { offset: number; bytes: Uint8Array }[] = []
  let { end, isOver } = begun
  let written = end
  let reached = 0
  let dropped = 0
  let writing: Promise<void> = Promise.resolve()
  let failure: unknown = null
  let writer: { index: number; file: FileHandle } | null = null
  let reader: { index: number; file: FileHandle } | null = null

  async function write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      const index = Math.floor(written / segmentBytes)
      if (writer?.index !== index) {
        await writer?.file.datasync()
        await writer?.file.close()
        writer = { index, file: await open(segmentOf(path, index), 'a', 0o600) }
      }
      const piece = bytes.subarray(at, at + segmentBytes - (written % segmentBytes))
      await writer.file.appendFile(piece)
      at += piece.byteLength
      written += piece.byteLength
    }
    trim()
    changed.post()
  }

  function trim(): void {
    while (recent[0]) {
      const { offset, bytes } = recent[0]
      const last = offset + bytes.byteLength
      if (last > written || (end - last < memoryBytes && last > reached)) return
      recent.shift()
    }
  }

  async function readSegment(from: number, to: number): Promise<Uint8Array> {
    const index = Math.floor(from / segmentBytes)
    if (reader?.index !== index) {
      await reader?.file.close()
      reader = { index, file: await open(segmentOf(path, index), 'r') }
    }
    const at = from % segmentBytes
    const bytes = Buffer.allocUnsafe(Math.min(to - from, segmentBytes - at))
    const { bytesRead } = await reader.file.read(bytes, 0, bytes.byteLength, at)
    if (bytesRead === 0) throw new Error(`${segmentOf(path, index)} is shorter than it was written`)
    return bytes.subarray(0, bytesRead)
  }

  return {
    path,
    changed,
    end: () => end,
    isOver: () => isOver,
    diskBytes: () => written - dropped,
    async append(bytes, signal) {
      if (failure !== null) throw failure
      recent.push({ offset: end, bytes })
      end += bytes.byteLength
      writing = writing
        .then(() => onDisk(write(bytes)))
        .catch((error: unknown) => {
          failure ??= error
          changed.post()
        })
      changed.post()
      const isFar = () => end - written > memoryBytes || end - reached > aheadBytes
      while (isFar() && failure === null && !signal.aborted) await changed.wait(signal)
      if (failure !== null) throw failure
    },
    async finish() {
      await writing
      isOver = true
      changed.post()
      if (failure !== null) throw failure
      if (writer) await onDisk(writer.file.datasync())
      await onDisk(syncDirectory(dirname(path)))
    },
    async read(from, to) {
      const found = recent.find(({ offset, bytes }) => offset <= from && offset + bytes.byteLength > from)
      if (!found) return await onDisk(readSegment(from, Math.min(to, written)))
      return joined(recent, found, { from, to: Math.min(to, end) })
    },
    reached(offset) {
      reached = Math.max(reached, offset)
      trim()
      changed.post()
    },
    drop(before) {
      const first = Math.floor(dropped / segmentBytes)
      const last = Math.floor(Math.min(before, written) / segmentBytes)
      for (let index = first; index < last; index += 1) unlink(segmentOf(path, index)).catch(() => {})
      dropped = Math.max(dropped, last * segmentBytes)
    },
    async close() {
      await writing
      await Promise.all([writer?.file.close(), reader?.file.close()].map(closed => closed?.catch(() => {})))
      writer = null
      reader = null
    },
  }
}

type Piece = { offset: number; bytes: Uint8Array }

/** Small pieces go out together. */
function joined(
  pieces: readonly Piece[],
  first: Piece,
  { from, to }: { from: number; to: number },
): Uint8Array {
  const own = first.bytes.subarray(from - first.offset, to - first.offset)
  if (first.offset + first.bytes.byteLength >= to) return own
  const rest = pieces.slice(pieces.indexOf(first) + 1)
  return Buffer.concat([own, ...rest.map(({ offset, bytes }) => bytes.subarray(0, Math.max(0, to - offset)))])
}
