import { mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { limits } from '../../protocol/limits.ts'
import type { Lease, Payload } from '../../protocol/runner.ts'
import { onDisk } from '../disk.ts'
import type { Log } from '../log.ts'
import { bytesOf, type Rope, textOf, writeRope } from '../rope.ts'
import { moveTape, removeTape, type Tape } from '../stream/tape.ts'
import { messageOf } from '../trouble.ts'
import type { Batch, Entry, PayloadKind, TapeUpload, Upload } from './entry.ts'
import { partsOf } from './entry.ts'
import { type Layout, layoutOf } from './layout.ts'
import { lockDirectory } from './lock.ts'
import { recover, setAside } from './recover.ts'
import { syncDirectory } from './sync.ts'

export type Stored = { payload: Payload; upload: Upload | null }

export type Spool = {
  readonly layout: Layout
  /** What an earlier process left to report. */
  readonly left: readonly Entry[]
  bytes(): number
  /** Text up to `limits.inlineBytes` as it is, anything larger in a durable file of its own. @throws DiskError */
  store(lease: Lease, kind: PayloadKind, rope: Rope): Promise<Stored>
  /** A stream's output is to be reported: it counts from here on. */
  holdTape(tape: Tape, held: { bytes: number; uploading: Promise<void> }): TapeUpload
  /** Makes entries durable: one file, synced together with its name. */
  write(entries: readonly Entry[]): Promise<void>
  /** Forgets an entry that the edge has answered. */
  release(entry: Entry): void
  /** Keeps an entry that cannot be reported, out of the way. On an error it stays in its batch. */
  setAside(entry: Entry): Promise<void>
  close(): void
}

/** Opens the directory for this process alone. Throws `LockedError` when another has it. */
export async function openSpool(
  directory: string,
  { instance, log }: { instance: string; log: Log },
): Promise<Spool> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const unlock = lockDirectory(directory)
  const layout = layoutOf(directory)
  const { entries: left, bytes: leftBytes } = await recover(layout, log)
  await syncDirectory(directory)
  const never = new AbortController().signal
  let bytes = leftBytes
  let files = 0

  function remove(path: string, size: number): void {
    bytes -= size
    unlink(path).catch((error: unknown) =>
      log.warn('A spool file could not be removed', { file: path, error: messageOf(error) }),
    )
  }

  function removeTapeOf({ path, heldBytes }: TapeUpload): void {
    bytes -= heldBytes
    void removeTape(path)
  }

  function leave(batch: Batch | null): void {
    if (batch === null || --batch.left > 0) return
    if (batch.damaged) {
      bytes -= batch.bytes
      void setAside(batch.path, { layout, log })
    } else remove(batch.path, batch.bytes)
  }

  return {
    layout,
    left,
    bytes: () => bytes,
    async store(lease, kind, rope) {
      const size = bytesOf(rope)
      const text = size <= limits.inlineBytes ? textOf(rope) : null
      if (text !== null) return { payload: { text }, upload: null }
      const path = layout.payload(lease, kind)
      await writeRope(path, rope, never)
      await onDisk(syncDirectory(layout.payloads))
      bytes += size
      return { payload: { parts: partsOf(size), bytes: size }, upload: { kind, path, bytes: size } }
    },
    holdTape(tape, { bytes: length, uploading }) {
      const heldBytes = tape.diskBytes()
      bytes += heldBytes
      // Its files are closed when nobody reads them any more.
      uploading.then(tape.close, tape.close)
      return { kind: 'stream', path: tape.path, bytes: length, heldBytes, uploading }
    },
    async write(entries) {
      const text = entries.map(({ line }) => `${line}\n`).join('')
      const path = join(layout.batches, `${instance}-${String(++files).padStart(9, '0')}`)
      const batch: Batch = { path, bytes: Buffer.byteLength(text), left: entries.length, damaged: false }
      const file = await open(path, 'wx', 0o600)
      try {
        await file.writeFile(text)
        // Side by side, as both wait for the same journal: one after the other would be a second wait for the disk.
        await Promise.all([file.datasync(), syncDirectory(layout.batches)])
      } catch (error) {
        await rm(path, { force: true }).catch(() => {})
        throw error
      } finally {
        await file.close()
      }
      bytes += batch.bytes
      for (const entry of entries) entry.batch = batch
    },
    release({ uploads, batch }) {
      for (const upload of uploads) {
        if (upload.kind === 'stream') removeTapeOf(upload)
        else remove(upload.path, upload.bytes)
      }
      leave(batch)
    },
    async setAside({ lease, line, uploads, batch }) {
      // Its line first: a payload that is missing says at the next start that the edge has answered.
      await writeRope(layout.refused(lease), [`${line}\n`], never)
      await syncDirectory(layout.corrupt)
      for (const upload of uploads) {
        if (upload.kind === 'stream') await moveTape(upload.path, layout.corrupt)
        else await rename(upload.path, join(layout.corrupt, basename(upload.path)))
        bytes -= upload.kind === 'stream' ? upload.heldBytes : upload.bytes
      }
      log.error('A result was set aside', { job: lease.id, file: layout.refused(lease) })
      leave(batch)
    },
    close: unlock,
  }
}
